using System.CommandLine;
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

    /// <summary>The complaint about a flag that verbs with a training configuration do not have; those of other verbs are keys here.</summary>
    public static string Unknown(string flag, Command command)
    {
        string name = flag.Split('=')[0];
        string? key = name switch
        {
            "--quantize" => "load_in_4bit=true (nf4) or load_in_8bit=true (int8)",
            "--quantize-head" => "quantize_head=int8",
            "--adapter" => "adapter_name_or_path=FOLDER",
            _ => null,
        };
        return key is null ? Edge.Unknown(flag, command) : $"'{name}' is unknown here, where the settings of training say it: {key}";
    }

    private string Prefix => Name.Length > 0 ? Name + ": " : "";
}
