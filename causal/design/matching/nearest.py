"""The nearest comparison still free, and the two ways of taking it in turns; loops for the compiler.

Used comparisons are stepped over in near-constant time: each position leads, along a path halved at every visit, to the
next free one (disjoint sets; Tarjan & van Leeuwen 1984). A search walks outwards from the score on either side, run of
equal scores by run, and stops where the distance alone exceeds the best found.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from causal.design.matching.neighbours import Neighbours
from causal.design.matching.pairing import PairArrays, admissible, reluctance

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
ShortArray = NDArray[np.int32]


class Free(NamedTuple):
    """What is still free: links (e + 1,) onwards and backwards, uses of each slot (m,), a guess for each block.

    `kin` (m,) leads from each slot to the next of those that count as one with it, round in a ring; (0,) where every
    slot stands for itself.
    """

    ahead: ShortArray
    behind: ShortArray
    uses: ShortArray
    guess: IntArray
    kin: ShortArray


def first_free(link: ShortArray, p: int) -> int:
    """Follow links to the first free position, halving the path on the way."""
    while link[p] != p:
        link[p] = link[link[p]]
        p = link[p]
    return p


def position(score: FloatArray, low: int, high: int, value: float, guess: int) -> int:
    """First position of low:high whose score is not below the value, by doubling steps from a guess."""
    step = 1
    guess = min(max(guess, low), high)
    if guess < high and score[guess] < value:
        low = guess + 1
        while low + step < high and score[low + step] < value:
            low += step + 1
            step *= 2
        high = min(high, low + step)
    else:
        high = guess
        while high - step > low and not score[high - step] < value:
            high -= step
            step *= 2
        low = max(low, high - step)
    while low < high:
        middle = (low + high) // 2
        if score[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low


def nearest(  # noqa: PLR0912, PLR0915 - one loop nest, compiled as a whole
    near: Neighbours,
    free: Free,
    rules: PairArrays | None,
    i: int,
    value: float,
    chosen: ShortArray,
    turn: int,
    caliper: float,
    hint: int,
) -> tuple[int, float]:
    """Slot of the best comparison for treated occasion i, and its distance with reluctance; -1 where there is none.

    `rules` count the n1 treated occasions first, then the slots. `chosen` (n1, k) holds the slots of earlier turns.
    `hint` is a position near the score, or -1.
    """
    score, rows, run_begin, run_end, start = near.score, near.row, near.run_begin, near.run_end, near.start
    ahead, behind, guess = free.ahead, free.behind, free.guess
    place, frequency, offset = near.place, near.frequency, near.offset
    n1 = chosen.shape[0]
    lists = near.floor.size
    best, best_row, least = -1, -1, np.inf
    for s in range(lists):
        floor = near.floor[s]
        key = near.key[s, i] if near.key.shape[1] else 0
        for b in range(max(2 * frequency.size, 1)):
            block = key
            if frequency.size:  # a period, then the one before, on each level
                block += offset[b // 2] + int((near.at[i] - near.origin) * frequency[b // 2]) + 1 - b % 2
            low, high = start[block], start[block + 1]
            if low == high:
                continue
            middle = position(score, low, high, value, hint if low <= hint < high else guess[block])
            guess[block] = middle
            left, right = middle - 1, middle
            if near.gap > 0:
                left = position(score, low, high, value - near.gap, middle) - 1
                right = position(score, low, high, value + near.gap, middle)
            for side in range(2):
                edge = right if side == 0 else left
                while low <= edge < high:
                    apart = abs(score[edge] - value)
                    if apart > caliper or (best >= 0 and apart + floor > least):
                        break
                    p = first_free(ahead, edge) if side == 0 else first_free(behind, edge + 1) - 1
                    if p < low or p >= high:
                        break
                    apart = abs(score[p] - value)
                    if apart > caliper or (best >= 0 and apart + floor > least):
                        break
                    begin, end = p, p + 1
                    if run_begin.size:
                        begin, end = run_begin[p], run_end[p]
                        p = first_free(ahead, begin)
                    while p < end:
                        slot = p if lists == 1 else place[0, rows[p]]
                        fits, total = True, apart
                        for earlier in range(turn):
                            fits = fits and slot != chosen[i, earlier]
                        if rules is not None:
                            fits = admissible(rules, i, n1 + slot)
                            for earlier in range(turn):
                                fits = fits and rules.person[n1 + slot] != rules.person[n1 + chosen[i, earlier]]
                            if fits:
                                total += reluctance(rules, i, n1 + slot)
                        if fits:
                            row = rows[p]
                            if best < 0 or total < least or (total == least and row < best_row):
                                best, best_row, least = slot, row, total
                            if total <= apart + floor:
                                break
                        p = first_free(ahead, p + 1)
                    edge = end if side == 0 else begin - 1
    return best, least


def take(near: Neighbours, free: Free, slot: int, most: int) -> None:
    """Count one use of a slot and its kin, and take them off every list once they had as many as allowed (0: any)."""
    if most == 0:
        return
    if most > 1:
        free.uses[slot] += 1
        if free.uses[slot] < most:
            one = free.kin[slot] if free.kin.size else slot
            while one != slot:
                free.uses[one] += 1
                one = free.kin[one]
            return
    one = slot
    while True:
        for s in range(near.floor.size):
            p = one if near.floor.size == 1 else near.place[s, near.row[one]]
            free.ahead[p] = p + 1
            free.behind[p + 1] = p
        one = free.kin[one] if free.kin.size else slot
        if one == slot:
            return


def rings(codes: IntArray) -> ShortArray:
    """For each place (m,) the next with the same code, the last leading back to the first.

    >>> rings(np.array([7, 3, 7, 7])).tolist()
    [2, 1, 3, 0]
    """
    order = np.argsort(codes, kind="stable")
    begins = np.r_[True, codes[order][1:] != codes[order][:-1]]
    ends = np.r_[begins[1:], True]
    following = np.roll(order, -1)
    following[ends] = order[begins]
    ring = np.empty(codes.size, dtype=np.int32)
    ring[order] = following
    return ring


def choose_in_turn(
    near: Neighbours,
    free: Free,
    rules: PairArrays | None,
    value: FloatArray,
    limits: IntArray,
    caliper: float,
    most: int,
    chosen: ShortArray,
) -> None:
    """Fill `chosen` (n1, k) with slots, -1 where none: in each round all take their best as they come."""
    for turn in range(chosen.shape[1]):
        for i in range(value.size):
            if turn < limits[i] and (turn == 0 or chosen[i, turn - 1] >= 0):
                slot, _ = nearest(near, free, rules, i, value[i], chosen, turn, caliper, -1)
                if slot >= 0:
                    chosen[i, turn] = slot
                    take(near, free, slot, most)


def seek(
    near: Neighbours,
    free: Free,
    rules: PairArrays | None,
    value: FloatArray,
    limits: IntArray,
    caliper: float,
    turn: int,
    chosen: ShortArray,
    distance: FloatArray,
) -> None:
    """Enter each treated occasion's best comparison for this round in `chosen`, and how far it is (n1,)."""
    for i in range(value.size):
        if turn < limits[i] and (turn == 0 or chosen[i, turn - 1] >= 0):
            chosen[i, turn], distance[i] = nearest(near, free, rules, i, value[i], chosen, turn, caliper, -1)


def before(distance: FloatArray, rank: IntArray, i: int, j: int) -> bool:
    """Whether treated occasion i comes before j: by distance, ties by rank."""
    return bool(distance[i] < distance[j] or (distance[i] == distance[j] and rank[i] < rank[j]))


def settle(
    near: Neighbours,
    free: Free,
    rules: PairArrays | None,
    value: FloatArray,
    caliper: float,
    most: int,
    turn: int,
    closest: bool,
    queue: IntArray,
    rank: IntArray,
    chosen: ShortArray,
    distance: FloatArray,
) -> None:
    """Take what `seek` entered in the order of `queue`; an entry is -1 where none is left.

    Comparisons only disappear, so an entry still free is still the best, and one that is gone is sought again. Where
    the closest pair left goes first, the queue stands in order of (distance, rank), the distance once found is a lower
    bound, and what was sought again waits in a heap for its new turn.
    """
    heap = np.empty(queue.size, dtype=np.int64)
    size = head = 0
    while head < queue.size or size > 0:
        if size == 0 or (head < queue.size and before(distance, rank, queue[head], heap[0])):
            i = queue[head]
            head += 1
        else:
            i = heap[0]
            size -= 1
            p, last = 0, heap[size]
            while 2 * p + 1 < size:
                child = 2 * p + 1
                if child + 1 < size and before(distance, rank, heap[child + 1], heap[child]):
                    child += 1
                if not before(distance, rank, heap[child], last):
                    break
                heap[p] = heap[child]
                p = child
            heap[p] = last
        slot = chosen[i, turn]
        if free.ahead[slot] == slot:
            take(near, free, slot, most)
            continue
        slot, distance[i] = nearest(near, free, rules, i, value[i], chosen, turn, caliper, slot)
        chosen[i, turn] = slot
        if slot >= 0 and not closest:
            take(near, free, slot, most)
        elif slot >= 0:
            p = size
            size += 1
            while p > 0 and before(distance, rank, i, heap[(p - 1) // 2]):
                heap[p] = heap[(p - 1) // 2]
                p = (p - 1) // 2
            heap[p] = i
