using System.Text.Json;
using System.Text.Json.Nodes;
using GemmaCore.Inputs;
using GemmaCore.Training.Datasets;

namespace GemmaCore.Training.Configuration;

/// <summary>Reads a <c>dataset:</c> block: which keys a type has, and what they are where nobody says.</summary>
internal static class DatasetBlock
{
    private static readonly JsonSerializerOptions Snake = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };

    // Splits of training and of evaluation. ChestX-ray14 has no validation split: its test split is evaluated on only where somebody asks for it.
    private static readonly Dictionary<string, (string Training, string Evaluation)> Splits = new()
    {
        ["flare"] = ("training", "validation-public"),
        ["mimic-cxr"] = ("train", "validate"),
        ["chestxray14"] = ("train_val", ""),
        ["chexpert"] = ("train", "valid"),
    };

    private static readonly string[] Tables = ["mimic-cxr", "chestxray14", "chexpert", "csv"];

    // Keys that only some types have; given to another type they would be a silence.
    private static readonly Dictionary<string, string[]> Owners = new()
    {
        ["box_format"] = ["flare", .. Tables],
        ["questions"] = Tables,
        ["labels"] = ["mimic-cxr", "chestxray14", "chexpert"],
        ["views"] = ["mimic-cxr", "chestxray14", "chexpert"],
        ["uncertainty"] = ["mimic-cxr", "chexpert"],
        ["sections"] = ["mimic-cxr"],
        ["reports"] = ["mimic-cxr"],
        ["columns"] = ["csv"],
        ["delimiter"] = ["csv"],
        ["image_root"] = ["csv"],
        ["task"] = ["csv"],
    };

    /// <exception cref="ConfigurationException">A value is of the wrong kind, or a key belongs to another type.</exception>
    public static DatasetConfiguration Read(ConfigurationValues block)
    {
        var defaults = new DatasetConfiguration();
        IReadOnlyList<string> tasks = block.Texts("tasks", []);
        string type = block.Choice("type", [.. Dataset.Types]);
        (string training, string evaluation) = Splits.GetValueOrDefault(type, ("", ""));
        var dataset = new DatasetConfiguration
        {
            Type = type,
            Path = block.Text("path", ""),
            Tasks = tasks is ["all"] ? [] : tasks,
            Split = block.Text("split", training),
            EvalSplit = block.Text("eval_split", evaluation),
            Prompts = Prompts(block, type),
            PromptOverrides = block.Block("prompt_overrides"),
            MaxImagesPerSample = block.Int("max_images_per_sample", 0, 0, int.MaxValue),
            Tiles = block.Block("tiles"),
            TileRows = block.Flag("tile_rows", false),
            Crops = block.Texts("crops", []),
            MaxSamples = block.Int("max_samples", 0, 0, int.MaxValue),
            BoxFormat = block.Choice("box_format", "as_is", "box_2d"),
            Questions = block.Block("questions"),
            Labels = block.Texts("labels", defaults.Labels),
            Views = block.Texts("views", defaults.Views),
            Uncertainty = block.Choice("uncertainty", "ones", "zeros", "ignore"),
            Sections = block.Texts("sections", defaults.Sections),
            Reports = block.Text("reports", ""),
            Columns = block.Block("columns"),
            Delimiter = block.Text("delimiter", ""),
            ImageRoot = block.Text("image_root", ""),
            Task = block.Text("task", ""),
        };
        RefuseOthersKeys(block, dataset, defaults);
        CheckCut(block, dataset);
        if (dataset.Sections.FirstOrDefault(name => name is not ("findings" or "impression")) is { } section) throw block.Wrong("sections", section, "findings, impression or a list of both");
        return dataset;
    }

    // FLARE's instructions are for FLARE's questions; questions of other sets are asked as they are.
    private static string Prompts(ConfigurationValues block, string type) => Tables.Contains(type)
        ? block.Choice("prompts", "question", "flare26", "flare25")
        : block.Choice("prompts", "flare26", "flare25", "question");

    private static void CheckCut(ConfigurationValues block, DatasetConfiguration dataset)
    {
        if (dataset.Tiles.Keys.FirstOrDefault(key => !TileCut.Keys.Contains(key)) is { } unknown)
            throw new ConfigurationException($"{block.Prefix}tiles.{unknown} is not a known key; did you mean {block.Prefix}tiles.{Spelling.Nearest(unknown, TileCut.Keys)}?");
        if (dataset.Tiles.Count > 0 && dataset.Crops.Count > 0) throw new ConfigurationException($"{block.Prefix}crops: tiles and crops are two ways to cut a picture; leave one out");
        if (dataset.TileRows && dataset.Tiles.Count == 0) throw new ConfigurationException($"{block.Prefix}tile_rows: goes with {block.Prefix}tiles, e.g. tiles: {{ size: {TileCut.UsualSize} }}");
        try
        {
            _ = dataset.Cut;
        }
        catch (InputException error)
        {
            throw new ConfigurationException($"{block.Prefix}{(dataset.Tiles.Count > 0 ? "tiles" : "crops")}: {error.Message}");
        }
    }

    // A configuration as resolved holds every key: one that says nothing is no mistake.
    private static void RefuseOthersKeys(ConfigurationValues block, DatasetConfiguration dataset, DatasetConfiguration defaults)
    {
        JsonObject given = JsonSerializer.SerializeToNode(dataset, Snake)!.AsObject(), usual = JsonSerializer.SerializeToNode(defaults, Snake)!.AsObject();
        foreach ((string key, string[] types) in Owners)
        {
            if (block.Contains(key) && !types.Contains(dataset.Type) && !JsonNode.DeepEquals(given[key], usual[key]))
                throw new ConfigurationException($"{block.Prefix}{key}: type {dataset.Type} has no such key; it belongs to {string.Join(", ", types)}");
        }
    }
}
