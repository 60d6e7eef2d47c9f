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
            A preset needs no CONFIG, only the data: gemmacore train --preset t4 data=FOLDER. Keys of a CONFIG and key=value go over it.

            Examples:
              gemmacore train configs/demo.yaml
              gemmacore train configs/demo.yaml --smoke learning_rate=1e-3 lora_rank=8
            """);
        var words = new Argument<string[]>("CONFIG") { Description = "YAML file, then key=value, dataset.key=value", Arity = ArgumentArity.ZeroOrMore };
        var preset = new Option<string?>("--preset") { Description = $"MedGemma 4B on a kind of card: {string.Join(", ", TrainingPreset.Names)}" };
        var resume = new Option<string?>("--resume") { Description = "go on from the newest checkpoint, or from this folder", Arity = ArgumentArity.ZeroOrOne };
        var smoke = new Option<bool>("--smoke") { Description = "three steps, to see that everything fits" };
        var badRow = new Option<string?>("--on-bad-row") { Description = "stop at a row that cannot be read, or skip it; short for on_bad_row=" };
        badRow.AcceptOnlyFromAmong("stop", "skip");
        command.Add(words);
        command.Add(preset);
        command.Add(resume);
        command.Add(smoke);
        command.Add(badRow);
        var device = new DeviceOptions();
        device.AddTo(command);
        command.SetAction(parsed =>
        {
            string[] given = parsed.GetValue(words) ?? [];
            string? checkpoint = parsed.GetValue(resume);
            if (checkpoint is not null && !Directory.Exists(checkpoint))
            {
                // --resume takes the word behind it, which without a folder is the next of the others.
                if (File.Exists(checkpoint)) (given, checkpoint) = ([checkpoint, .. given], null);
                else if (checkpoint.Contains('=', StringComparison.Ordinal)) (given, checkpoint) = ([.. given, checkpoint], null);
            }

            // A mistyped flag would pass for one of the overrides.
            if (given.FirstOrDefault(text => text.StartsWith('-') && !text.Contains('=', StringComparison.Ordinal)) is { } flag)
                throw new UsageException(TrainingSettings.Unknown(flag, command));
            // A file comes first, whatever its name; only a preset can do without.
            string? file = given.Length > 0 && (!given[0].Contains('=', StringComparison.Ordinal) || File.Exists(given[0])) ? given[0] : null;
            if (file is null && parsed.GetValue(preset) is null)
                throw new UsageException($"say what to train: a CONFIG (.yaml) or --preset {string.Join('|', TrainingPreset.Names)}");
            string[] badRowSetting = parsed.GetValue(badRow) is { } choice ? [$"on_bad_row={choice}"] : [];
            var settings = new TrainingSettings(parsed.GetValue(preset), file, [.. given.Skip(file is null ? 0 : 1), .. badRowSetting]);
            TrainingConfiguration configuration = settings.Read();
            configuration = configuration with
            {
                ModelNameOrPath = Required(configuration.ModelNameOrPath, "model_name_or_path", settings.Name),
                OutputDir = Required(configuration.OutputDir, "output_dir", settings.Name),
                MaxSteps = parsed.GetValue(smoke) ? 3 : configuration.MaxSteps,
                Dataset = configuration.Dataset with { Path = Required(configuration.Dataset.Path, "dataset.path", settings.Name) },
            };
            ResumedRun? resumed = parsed.GetResult(resume) is null ? null : ResumedRun.Find(configuration.OutputDir, checkpoint);
            using var session = TrainingSession.Open(configuration, device.Open(parsed), line => Console.Error.WriteLine(line), resumed);
            session.Run(Edge.Interrupted);
            Console.WriteLine(configuration.OutputDir);
            if (!Edge.Interrupted.IsCancellationRequested || session.IsOver) return 0;
            Console.Error.WriteLine($"gemmacore: interrupted after step {session.State.Step} of {session.State.MaxSteps} and saved; go on with --resume");
            return 1; // a script must not take the unfinished adapter for the result
        });
        return command;
    }

    private static string Required(string value, string key, string file) =>
        value.Length > 0 ? value : throw new ConfigurationException($"{file}: {key} is missing");
}
