using System.Text.Json.Serialization;
using GemmaCore.Inputs;

namespace GemmaCore.Training.Configuration;

/// <summary>The data set of a run.</summary>
public sealed record DatasetConfiguration
{
    /// <summary>One of <see cref="Datasets.Dataset.Types"/>.</summary>
    public string Type { get; init; } = "flare";

    /// <summary>Folder or file.</summary>
    public string Path { get; init; } = "";

    /// <summary>FLARE: names of data sets or of task types to read; chest X-rays: task types; empty for all.</summary>
    public IReadOnlyList<string> Tasks { get; init; } = [];

    /// <summary>Name of the training split; empty where a type has none.</summary>
    public string Split { get; init; } = "training";

    /// <summary>Name of the evaluation split; empty where nothing is evaluated unless asked for.</summary>
    public string EvalSplit { get; init; } = "validation-public";

    /// <summary>FLARE and tables: <c>question</c>, <c>flare25</c> or <c>flare26</c>.</summary>
    public string Prompts { get; init; } = "flare26";

    /// <summary>True where a model is asked, not trained: the words of <c>flare26</c> differ.</summary>
    [JsonIgnore]
    public bool ForAnswers { get; init; }

    /// <summary>
    /// FLARE and tables: texts that replace those of the prompt set: by task (<c>classification</c>, <c>cell_counting</c>, …), by <c>system</c>, or by <c>other</c>
    /// for questions without a task. <c>{question}</c> and <c>{modality}</c> are filled in.
    /// </summary>
    public IReadOnlyDictionary<string, string> PromptOverrides { get; init; } = new Dictionary<string, string>();

    /// <summary>FLARE and tables: most pictures of a row to use, the first ones; 0 for all.</summary>
    public int MaxImagesPerSample { get; init; }

    /// <summary>How pictures are cut into tiles: the keys of <see cref="TileCut"/>, each with its value; empty to leave them whole.</summary>
    public IReadOnlyDictionary<string, string> Tiles { get; init; } = new Dictionary<string, string>();

    /// <summary>Every tile is a row of its own, with its row's answer.</summary>
    public bool TileRows { get; init; }

    /// <summary>Scales at which crops follow the whole picture; empty for none.</summary>
    public IReadOnlyList<string> Crops { get; init; } = [];

    /// <summary>How pictures are cut, from <see cref="Tiles"/> or <see cref="Crops"/>; null for not at all.</summary>
    /// <exception cref="InputException">A value makes no sense.</exception>
    [JsonIgnore]
    public PictureCut? Cut => Tiles.Count > 0 ? PictureCut.Of(TileCut.Parse(Tiles)) : Crops.Count > 0 ? PictureCut.OfScales(Crops) : null;

    /// <summary>What <c>resize_mode</c> may be.</summary>
    [JsonIgnore]
    public static IReadOnlyList<string> ResizeModes { get; } = ["square", "pad"];

    /// <summary>True where the run pads pictures to a square (its <c>resize_mode</c>), so that thousandths of <c>box_2d</c> are of that square.</summary>
    [JsonIgnore]
    public bool PadsPictures { get; init; }

    /// <summary>Most rows to train on; 0 for all.</summary>
    public int MaxSamples { get; init; }

    /// <summary>FLARE and tables: how boxes are written in answers: <c>as_is</c>, or <c>box_2d</c>, MedGemma's thousandths.</summary>
    public string BoxFormat { get; init; } = "as_is";

    /// <summary>
    /// Tables: what is asked, by task. Names in braces are filled in from the row: <c>{labels}</c>, <c>{view}</c>, …; in a table of one's own any column.
    /// </summary>
    public IReadOnlyDictionary<string, string> Questions { get; init; } = new Dictionary<string, string>();

    /// <summary>Chest X-rays: labels to ask for; empty for all of the data set.</summary>
    public IReadOnlyList<string> Labels { get; init; } = [];

    /// <summary>Chest X-rays: <c>frontal</c>, <c>all</c>, or names such as PA, AP, LATERAL. The first one that a study has comes first.</summary>
    public IReadOnlyList<string> Views { get; init; } = ["frontal"];

    /// <summary>CheXpert labels that are uncertain: <c>ones</c>, <c>zeros</c>, or <c>ignore</c>, which does not ask for them.</summary>
    public string Uncertainty { get; init; } = "ones";

    /// <summary>MIMIC-CXR: sections of the report to write.</summary>
    public IReadOnlyList<string> Sections { get; init; } = ["findings"];

    /// <summary>MIMIC-CXR: folder of the report texts; empty to look in the data set's own.</summary>
    public string Reports { get; init; } = "";

    /// <summary>A table of one's own: columns by what they hold (image, question, answer, task, …), where they do not have these names.</summary>
    public IReadOnlyDictionary<string, string> Columns { get; init; } = new Dictionary<string, string>();

    /// <summary>A table of one's own: what stands between fields; empty to tell by the header.</summary>
    public string Delimiter { get; init; } = "";

    /// <summary>A table of one's own: folder of the pictures; empty for the table's.</summary>
    public string ImageRoot { get; init; } = "";

    /// <summary>A table of one's own: task of every row that does not name one.</summary>
    public string Task { get; init; } = "";
}
