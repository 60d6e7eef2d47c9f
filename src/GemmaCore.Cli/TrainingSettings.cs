using GemmaCore.Training.Configuration;

namespace GemmaCore.Cli;

/// <summary>A training configuration as the command line gives it: a preset, the keys of a YAML file over it, <c>key=value</c> over both.</summary>
/// <param name="Preset">Name; null for none.</param>
/// <param name="File">YAML file; null for none.</param>
/// <param name="Overrides"><c>key=value</c>.</param>
internal sealed record TrainingSettings(string? Preset, string? File, IReadOnlyList<string> Overrides)
{
    /// <summary>Where the settings come from, for messages.</summary>
    public string Name => Preset is null ? File ?? "" : File is null ? $"--preset {Preset}" : $"{File} over --preset {Preset}";

    /// <summary>Reads the configuration; aliases and the like are told on stderr.</summary>
    /// <exception cref="UsageException">There is no such preset or file.</exception>
    /// <exception cref="ConfigurationException">What is there makes no sense.</exception>
    public TrainingConfiguration Read()
    {
        string ground = Preset is null ? "" : TrainingPreset.Find(Preset) ?? throw new UsageException($"--preset {Preset}: expected {string.Join(", ", TrainingPreset.Names)}");
        string? file = File is null ? null : ShippedFile.Locate(File);
        if (file is not null && !System.IO.File.Exists(file)) throw new UsageException($"{File}: not found; expected a YAML configuration");
        try
        {
            ConfigurationReading reading = ConfigurationReader.Read(file is null ? "" : System.IO.File.ReadAllText(file), Overrides, ground);
            foreach (string note in reading.Notes) Console.Error.WriteLine(Prefix + note);
            return reading.Configuration;
        }
        catch (ConfigurationException error)
        {
            throw new ConfigurationException(Prefix + error.Message);
        }
    }

    private string Prefix => Name.Length > 0 ? Name + ": " : "";
}
