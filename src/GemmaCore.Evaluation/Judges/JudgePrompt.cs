namespace GemmaCore.Evaluation.Judges;

/// <summary>
/// What a judge model is asked: two reports in the blanks <c>{reference}</c> and <c>{prediction}</c> of a text. Ours ask for the published answer formats in our own
/// words; a model that was tuned to judge answers best to the words it was tuned with, which come with it and are given as a file.
/// </summary>
public sealed class JudgePrompt
{
    private const string Reference = "{reference}", Prediction = "{prediction}";

    private readonly string _text;

    /// <summary>A prompt of one's own.</summary>
    /// <param name="text">Text with both blanks.</param>
    /// <exception cref="EvaluationException">A blank is missing.</exception>
    public JudgePrompt(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        foreach (string blank in (string[])[Reference, Prediction])
            if (!text.Contains(blank, StringComparison.Ordinal)) throw new EvaluationException($"the judge's prompt lacks {blank}, where a report goes; it needs {Reference} and {Prediction}");
        _text = text;
    }

    /// <summary>Asks for CRIMSON's JSON.</summary>
    public static JudgePrompt Crimson { get; } = new("""
        You compare two findings texts of the same chest X-ray: what a radiologist wrote and what a model predicted. Judge abnormal findings only; leave normal ones out.

        Radiologist:
        {reference}

        Model:
        {prediction}

        1. List every abnormal finding of each text by itself, with an id (R1, R2, … for the radiologist, P1, P2, … for the model) and its clinical_significance: "urgent" (act at once), "actionable_not_urgent" (changes treatment), "not_actionable_not_urgent" (minor), or "benign_expected" (of no consequence).
        2. Match findings that mean the same thing, also where a detail differs. A finding of the model without a match is a false finding, one of the radiologist without a match a missing finding.
        3. For a match that differs in location, severity, descriptor, measurement, certainty, specificity ("unspecific" or "overinterpretation") or change over time ("temporal"), give an attribute error whose severity is "significant" if it would change what is done, else "negligible".

        Answer with this JSON and nothing else:
        {"reference_findings": [{"id": "R1", "finding": "...", "clinical_significance": "..."}], "predicted_findings": [{"id": "P1", "finding": "...", "clinical_significance": "..."}], "matched_findings": [{"ref_id": "R1", "pred_id": "P1"}], "errors": {"false_findings": ["P2"], "missing_findings": ["R2"], "attribute_errors": [{"ref_id": "R1", "pred_id": "P1", "severity": "...", "error_types": ["..."], "explanation": "..."}]}}
        """);

    /// <summary>Asks for GREEN's sections.</summary>
    public static JudgePrompt Green { get; } = new("""
        You compare a candidate radiology report with a reference report of the same examination. Count matched findings, and errors in six categories: (a) a finding that is not in the reference, (b) a finding that is missing, (c) a wrong place, (d) a wrong severity, (e) a comparison that is not in the reference, (f) a missing comparison. Tell errors that matter to the patient from those that do not. Judge findings, not style.

        Reference:
        {reference}

        Candidate:
        {prediction}

        Answer in exactly this form, with 0 where there is nothing:
        [Explanation]:
        <text>

        [Clinically Significant Errors]:
        (a) <category>: <number>. <error>; <error>
        ...
        (f) <category>: <number>. <error>; <error>

        [Clinically Insignificant Errors]:
        (a) <category>: <number>. <error>; <error>
        ...
        (f) <category>: <number>. <error>; <error>

        [Matched Findings]:
        <number>. <finding>; <finding>
        """);

    /// <summary>The question about two reports.</summary>
    public string Ask(string reference, string prediction)
    {
        // In one pass: a report that holds a blank's name is not filled in again.
        int first = _text.IndexOf(Reference, StringComparison.Ordinal), second = _text.IndexOf(Prediction, StringComparison.Ordinal);
        (int at, string name, string value, int thenAt, string thenName, string thenValue) = first < second
            ? (first, Reference, reference, second, Prediction, prediction)
            : (second, Prediction, prediction, first, Reference, reference);
        return _text[..at] + value + _text[(at + name.Length)..thenAt] + thenValue + _text[(thenAt + thenName.Length)..];
    }
}
