using GemmaCore.Evaluation;
using GemmaCore.Inputs;

namespace GemmaCore.Training.Datasets;

/// <summary>One row of a data set, whatever its format.</summary>
/// <param name="Dataset">Name of the set, e.g. <c>phantom_cells</c>.</param>
/// <param name="Row">Where the row stands: file and index, for messages.</param>
/// <param name="Prompt">The conversation up to the answer.</param>
/// <param name="Answer">What the model is to say; null when the row has no answer.</param>
/// <param name="Task">Family of the question; null where the format has none.</param>
public sealed record TrainingExample(string Dataset, string Row, IReadOnlyList<ChatMessage> Prompt, string? Answer, TaskType? Task)
{
    /// <summary>
    /// Name of the row across tools. FLARE rows get that of the 2026 baseline, <c>split:dataset:file:case:task:question</c>; others the data set and the
    /// row's index.
    /// </summary>
    public string Uid { get; init; } = "";

    /// <summary>True for boxes under keys, whose answers are long: some 46 boxes, 700 tokens (flare.md §4).</summary>
    public bool IsInstanceDetection { get; init; }

    /// <summary>The row's modality, as spelt there; empty where the format has none.</summary>
    public string Modality { get; init; } = "";

    /// <summary>Whose pictures these are; rows of one patient are never split between training and evaluation. Empty where the format does not say.</summary>
    public string Patient { get; init; } = "";

    /// <summary>Labels of which a multi-label answer names those that apply; empty where the format does not list them.</summary>
    public IReadOnlyList<string> Labels { get; init; } = [];

    /// <summary>The part of the picture that the row asks about, where every tile is a row; null for the whole picture.</summary>
    public PictureRegion? Tile { get; init; }

    /// <summary>The row as it stood in a FLARE file, for writing predictions back; empty for other formats.</summary>
    public IReadOnlyDictionary<string, string> Fields { get; init; } = new Dictionary<string, string>();
}
