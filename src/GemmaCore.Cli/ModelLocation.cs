using GemmaCore.Checkpoints;
using GemmaCore.Checkpoints.Hub;
using GemmaCore.Training.Configuration;

namespace GemmaCore.Cli;

/// <summary>What a MODEL argument means: a folder, <c>demo</c>, or a hub id whose files are in the hub cache.</summary>
internal static class ModelLocation
{
    /// <summary>The embedded model and data, beside the executable.</summary>
    public static string Demo => Path.Combine(AppContext.BaseDirectory, "demo");

    /// <summary>The folder or file a data argument names; <c>demo</c> is the embedded data, and what is not there may be a <see cref="ShippedFile"/>.</summary>
    public static string ResolveData(string path) => path == "demo" ? Path.Combine(Demo, "data") : ShippedFile.Locate(path);

    /// <summary>A data set whose files are where <see cref="ResolveData"/> finds them.</summary>
    public static DatasetConfiguration Resolve(DatasetConfiguration dataset) =>
        dataset with { Path = ResolveData(dataset.Path), ImageRoot = ShippedFile.Locate(dataset.ImageRoot) };

    /// <summary>The folder a MODEL argument names.</summary>
    /// <exception cref="UsageException">There is no such model on this machine.</exception>
    public static string Resolve(string model)
    {
        // The word comes first: in a clone of this repository there is a folder of the same name. "./demo" means the folder.
        if (model == "demo") return Path.Combine(Demo, "model");
        if (Directory.Exists(model))
        {
            // Before the tokenizer is missed, which such a folder has none of.
            if (!File.Exists(Path.Combine(model, "config.json")) && ForeignCheckpoint.Complaint(model) is { } foreign) throw new UsageException(foreign);
            return model;
        }

        if (File.Exists(model)) throw new UsageException(ForeignCheckpoint.Complaint(model) ?? $"{model}: is a file; expected the model's folder");
        if (HubName.IsRepository(model))
        {
            if (new HubCache(EnvironmentVariables.HubCache).FindSnapshot(model) is { } snapshot) return snapshot;
            if (model.Contains('/', StringComparison.Ordinal))
                throw new UsageException($"{model}: neither a folder nor in the hub cache; fetch it first: gemmacore download {model}");
        }

        throw new UsageException($"{model}: not found; expected a model folder, a hub id such as google/medgemma-4b-it, or demo");
    }
}
