using System.Text.Json.Nodes;
using GemmaCore.Evaluation.Probabilities;

namespace GemmaCore.Evaluation;

/// <summary>Label curves as JSON; what is not a number is null.</summary>
internal static class CurveFile
{
    public static JsonNode Json(LabelCurves curves) => new JsonObject
    {
        ["dataset"] = curves.Dataset,
        ["task"] = curves.Task.Name(),
        ["rows_with_scores"] = curves.Rows,
        ["macro_auc"] = Number(curves.MacroArea),
        ["labels"] = new JsonArray([.. curves.Labels.Select(Label)]),
        ["labels_with_one_class"] = new JsonArray([.. curves.Skipped.Select(label => (JsonNode)label)]),
        ["calibration"] = curves.Calibration is { } calibration ? Calibrated(calibration) : null,
    };

    private static JsonNode Label(LabelCurve label) => new JsonObject
    {
        ["label"] = label.Label,
        ["auc"] = label.Area,
        ["interval"] = new JsonArray(Number(label.Interval.Low), Number(label.Interval.High)),
        ["positives"] = label.Positives,
        ["negatives"] = label.Negatives,
        ["threshold"] = label.Threshold,
        ["sensitivity"] = label.Sensitivity,
        ["specificity"] = label.Specificity,
    };

    private static JsonObject Calibrated(CalibrationSummary calibration) => new()
    {
        ["expected_calibration_error"] = calibration.ExpectedError,
        ["temperature"] = Number(calibration.Temperature),
        ["error_at_temperature"] = calibration.ErrorAtTemperature,
        ["bins"] = new JsonArray([.. calibration.Bins.Select((bin, index) => Bin(bin, index, calibration.Bins.Count)).OfType<JsonNode>()]),
    };

    private static JsonObject? Bin(ReliabilityBin bin, int index, int bins) => bin.Count == 0 ? null : new JsonObject
    {
        ["low"] = (double)index / bins, ["high"] = (index + 1.0) / bins, ["rows"] = bin.Count, ["confidence"] = bin.Confidence, ["accuracy"] = bin.Accuracy,
    };

    private static JsonValue? Number(double value) => double.IsNaN(value) ? null : JsonValue.Create(value);
}
