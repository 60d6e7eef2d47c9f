namespace GemmaCore.Training.Configuration;

/// <summary>The data set of a run.</summary>
public sealed record DatasetConfiguration
{
    /// <summary><c>flare</c>, <c>messages</c> or <c>sharegpt</c>.</summary>
    public string Type { get; init; } = "flare";

    /// <summary>Folder or file.</summary>
    public string Path { get; init; } = "";

    /// <summary>FLARE: names of data sets or of task types to read; empty for all.</summary>
    public IReadOnlyList<string> Tasks { get; init; } = [];

    /// <summary>FLARE: folder of the training split.</summary>
    public string Split { get; init; } = "training";

    /// <summary>FLARE: folder of the evaluation split.</summary>
    public string EvalSplit { get; init; } = "validation-public";

    /// <summary>FLARE: <c>question</c>, <c>flare25</c> or <c>flare26</c>.</summary>
    public string Prompts { get; init; } = "flare26";

    /// <summary>
    /// FLARE: texts that replace those of the prompt set: by task (<c>classification</c>, <c>cell_counting</c>, …), by <c>system</c>, or by <c>other</c>
    /// for questions without a task. <c>{question}</c> and <c>{modality}</c> are filled in.
    /// </summary>
    public IReadOnlyDictionary<string, string> PromptOverrides { get; init; } = new Dictionary<string, string>();

    /// <summary>FLARE: most pictures of a row to use, the first ones; 0 for all.</summary>
    public int MaxImagesPerSample { get; init; }

    /// <summary>Most rows to train on; 0 for all.</summary>
    public int MaxSamples { get; init; }
}
