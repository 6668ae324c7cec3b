#!/usr/bin/env python3
"""Writes samples.csv: 1,000 pairs of random samples and what scipy says about them.

    python3 tests/oracles/statistics/make_samples.py > tests/oracles/statistics/samples.csv

Needs scipy (made with 1.17.1). A line is

    first;second;u;exact;normal;uncorrected;paired_t;paired_p;welch_t;welch_df;welch_p

Values are whole and separated by blanks. u is that of the first sample. `exact` is two-sided: of samples without ties
mannwhitneyu(method="exact"); with ties, where scipy's exact method is not exact, the share of all choices of n of the n + m
values whose U is at least as far from n m / 2, counted one by one. Where n = m that p is also scipy's by permutation, which is
checked here. `normal` and `uncorrected` are method="asymptotic" with use_continuity=True and False. The paired test is of the
first min(n, m) values of both.
"""
import itertools
import random

import numpy
from scipy import stats


def enumerated(first, second):
    """The exact p with ties."""
    n, m = len(first), len(second)
    ranks = stats.rankdata(first + second)
    chosen = numpy.array(list(itertools.combinations(range(n + m), n)))
    u = ranks[chosen].sum(axis=1) - n * (n + 1) / 2
    far = abs(u - n * m / 2) >= abs(u[0] - n * m / 2)  # The first choice is the sample itself.
    return far.mean()


def permuted(first, second):
    """The same by scipy, where n = m."""
    exhaustive = stats.PermutationMethod(n_resamples=10**9)
    return stats.mannwhitneyu(first, second, alternative="two-sided", method=exhaustive).pvalue


def line(first, second):
    tied = len(set(first + second)) < len(first + second)
    asymptotic = {"alternative": "two-sided", "method": "asymptotic"}
    exact = (enumerated(first, second) if tied else
             stats.mannwhitneyu(first, second, alternative="two-sided", method="exact").pvalue)
    if tied and len(first) == len(second) and len(first) <= 5:
        assert abs(exact - permuted(first, second)) < 1e-12, (first, second)
    both = min(len(first), len(second))
    paired = stats.ttest_rel(first[:both], second[:both])
    welch = stats.ttest_ind(first, second, equal_var=False)
    numbers = [stats.mannwhitneyu(first, second, **asymptotic).statistic, exact,
               stats.mannwhitneyu(first, second, use_continuity=True, **asymptotic).pvalue,
               stats.mannwhitneyu(first, second, use_continuity=False, **asymptotic).pvalue,
               paired.statistic, paired.pvalue, welch.statistic, welch.df, welch.pvalue]
    if not numpy.isfinite(numbers).all():
        return None  # A t test without spread: not scipy's to say.
    return ";".join([" ".join(map(str, first)), " ".join(map(str, second)), *(f"{number:.12g}" for number in numbers)])


def main():
    rng = random.Random(20250301)
    lines = []
    while len(lines) < 1000:
        tied = len(lines) % 2 == 1
        most = 7 if tied else 14
        n, m = rng.randint(2, most), rng.randint(2, most)
        if not tied and len(lines) % 100 == 0:
            n, m = rng.randint(20, 40), rng.randint(20, 40)
        shift = rng.choice([0, 0, 1, 2])
        if tied:
            levels = rng.choice([2, 3, 4, 8])
            first = [rng.randrange(levels) + shift for _ in range(n)]
            second = [rng.randrange(levels) for _ in range(m)]
        else:
            first = [round(rng.gauss(900 + 10 * shift, 20)) for _ in range(n)]
            second = [round(rng.gauss(900, 20)) for _ in range(m)]
            if n + m > 30:  # So many differ only if there is room.
                first, second = ([round(rng.gauss(9000 + 100 * shift, 500)) for _ in range(n)],
                                 [round(rng.gauss(9000, 500)) for _ in range(m)])
        if (len(set(first + second)) < n + m) != tied:
            continue
        found = line(first, second)
        if found:
            lines.append(found)
    print("\n".join(lines))


main()
