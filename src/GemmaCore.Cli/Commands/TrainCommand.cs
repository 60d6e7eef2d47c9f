using System.CommandLine;
using GemmaCore.Training.Configuration;

namespace GemmaCore.Cli.Commands;

/// <summary><c>gemmacore train</c>: LoRA fine-tuning from a configuration file.</summary>
internal static class TrainCommand
{
    public static Command Create()
    {
        var command = new Command("train", """
            Fine-tune a LoRA adapter. Ctrl-C once finishes the step, saves and exits with 1, as the run is not done; twice stops at once (130).

            Examples:
              gemmacore train configs/demo.yaml
              gemmacore train configs/demo.yaml --smoke learning_rate=1e-3 lora_rank=8
            """);
        var file = new Argument<string>("CONFIG") { Description = "YAML file" };
        var overrides = new Argument<string[]>("OVERRIDES") { Description = "key=value, dataset.key=value", Arity = ArgumentArity.ZeroOrMore };
        var resume = new Option<string?>("--resume") { Description = "go on from the newest checkpoint, or from this folder", Arity = ArgumentArity.ZeroOrOne };
        var smoke = new Option<bool>("--smoke") { Description = "three steps, to see that everything fits" };
        var badRow = new Option<string?>("--on-bad-row") { Description = "stop at a row that cannot be read, or skip it; short for on_bad_row=" };
        badRow.AcceptOnlyFromAmong("stop", "skip");
        command.Add(file);
        command.Add(overrides);
        command.Add(resume);
        command.Add(smoke);
        command.Add(badRow);
        var device = new DeviceOptions();
        device.AddTo(command);
        command.SetAction(parsed =>
        {
            // A mistyped flag would pass for one of the overrides.
            if (parsed.GetValue(overrides)?.FirstOrDefault(text => text.StartsWith('-') && !text.Contains('=', StringComparison.Ordinal)) is { } flag)
                throw new UsageException(Edge.Unknown(flag, command));
            string path = parsed.GetValue(file)!;
            if (!File.Exists(path)) throw new UsageException($"{path}: not found; expected a YAML configuration");
            ConfigurationReading reading = ReadConfiguration(
                path, [.. parsed.GetValue(overrides) ?? [], .. parsed.GetValue(badRow) is { } choice ? [$"on_bad_row={choice}"] : Array.Empty<string>()]);
            foreach (string note in reading.Notes) Console.Error.WriteLine($"{path}: {note}");
            TrainingConfiguration configuration = reading.Configuration with
            {
                ModelNameOrPath = Required(reading.Configuration.ModelNameOrPath, "model_name_or_path", path),
                OutputDir = Required(reading.Configuration.OutputDir, "output_dir", path),
                MaxSteps = parsed.GetValue(smoke) ? 3 : reading.Configuration.MaxSteps,
                Dataset = reading.Configuration.Dataset with { Path = Required(reading.Configuration.Dataset.Path, "dataset.path", path) },
            };
            using var session = TrainingSession.Open(configuration, device.Open(parsed), line => Console.Error.WriteLine(line));
            if (parsed.GetResult(resume) is not null) session.Resume(parsed.GetValue(resume));
            session.Run(Edge.Interrupted);
            Console.WriteLine(configuration.OutputDir);
            if (!Edge.Interrupted.IsCancellationRequested || session.State.Step == session.State.MaxSteps) return 0;
            Console.Error.WriteLine($"gemmacore: interrupted after step {session.State.Step} of {session.State.MaxSteps} and saved; go on with --resume");
            return 1; // a script must not take the unfinished adapter for the result
        });
        return command;
    }

    private static ConfigurationReading ReadConfiguration(string path, string[] overrides)
    {
        try
        {
            return ConfigurationReader.Read(File.ReadAllText(path), overrides);
        }
        catch (ConfigurationException error)
        {
            throw new ConfigurationException($"{path}: {error.Message}");
        }
    }

    private static string Required(string value, string key, string file) =>
        value.Length > 0 ? value : throw new ConfigurationException($"{file}: {key} is missing");
}
