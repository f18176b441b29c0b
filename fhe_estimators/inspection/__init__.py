"""See what encryption does to a model: agreement with the clear one, costs, plots.

Plots need matplotlib, frames need pandas: ``pip install "fhe-estimators[plots]"``.
"""

from ._agreement import AgreementDisplay
from ._boundary import DecisionBoundaryComparisonDisplay
from ._comparison import ComparisonReport, compare_with_cleartext
from ._contributions import ContributionDisplay
from ._costs import CostDisplay
from ._fine_tuning import FineTuningDisplay
from ._noise import NoiseBudgetDisplay
from ._phases import Phases, measure_phases
from ._quantization import QuantizationCurveDisplay

__all__ = [
    "AgreementDisplay",
    "ComparisonReport",
    "ContributionDisplay",
    "CostDisplay",
    "DecisionBoundaryComparisonDisplay",
    "FineTuningDisplay",
    "NoiseBudgetDisplay",
    "Phases",
    "QuantizationCurveDisplay",
    "compare_with_cleartext",
    "measure_phases",
]
