using System.Text.Json.Nodes;

namespace GemmaCore.Evaluation;

/// <summary>Label curves as JSON.</summary>
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
        ["auc"] = label.Curve.Area,
        ["interval"] = new JsonArray(label.Curve.Interval.Low, label.Curve.Interval.High),
        ["positives"] = label.Curve.Positives,
        ["negatives"] = label.Curve.Negatives,
        ["threshold"] = label.AtHalf.Threshold,
        ["sensitivity"] = label.AtHalf.Sensitivity,
        ["specificity"] = label.AtHalf.Specificity,
    };

    private static JsonObject Calibrated(Calibration calibration) => new JsonObject
    {
        ["expected_calibration_error"] = calibration.ExpectedError,
        ["temperature"] = calibration.Temperature,
        ["error_at_temperature"] = calibration.ErrorAtTemperature,
        ["bins"] = new JsonArray([.. calibration.Bins.Select(bin => (JsonNode)new JsonObject
        {
            ["low"] = bin.Low, ["high"] = bin.High, ["rows"] = bin.Rows, ["confidence"] = bin.Confidence, ["accuracy"] = bin.Accuracy,
        })]),
    };

    private static JsonValue? Number(double value) => double.IsNaN(value) ? null : JsonValue.Create(value);
}
