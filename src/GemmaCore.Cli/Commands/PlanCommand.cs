using System.CommandLine;
using GemmaCore.Models;
using GemmaCore.Tensors;
using GemmaCore.Training.Configuration;
using GemmaCore.Training.Planning;

namespace GemmaCore.Cli.Commands;

/// <summary><c>gemmacore plan</c>: memory of a training run and of an answer, before anything is loaded.</summary>
internal static class PlanCommand
{
    private const int UsualLength = 512;

    public static Command Create()
    {
        var command = new Command("plan", """
            Say what memory and time a run and an answer take. Memory part by part, without reading weights. Where memory is short (--memory, or a card's
            own), settings are changed until the run fits, and the changes are named. Times are the roofline: what the device's peaks allow at best, no forecast.

            Examples:
              gemmacore plan --preset medgemma-4b --card t4 load_in_8bit=true lora_rank=64 max_length=2048 per_device_train_batch_size=4
              gemmacore plan demo --device cpu --memory 100MB max_length=128 --json
            """);
        var subject = new Argument<string[]>("MODEL|CONFIG") { Description = "model (folder, hub id, demo) or training configuration (.yaml); then key=value", Arity = ArgumentArity.ZeroOrMore };
        var presets = new Option<string[]>("--preset")
        {
            Description = $"training configuration as train has it: {string.Join(", ", TrainingPreset.Names)}; or shape of the model instead of one that is here: {string.Join(", ", ModelPreset.Names)}; or one of each",
        };
        var images = new Option<int>("--images") { Description = "pictures of a sample", DefaultValueFactory = _ => 1 };
        var context = new Option<int>("--context") { Description = "tokens of a conversation to answer in", DefaultValueFactory = _ => 4096 };
        Option<string> kept = new ModelOptions().KvType;
        var json = new Option<bool>("--json") { Description = "print one JSON document" };
        var target = new PlanTargetOptions();
        command.Add(subject);
        foreach (Option option in (Option[])[presets, images, context, kept, json]) command.Add(option);
        target.AddTo(command);
        command.SetAction(parsed =>
        {
            string[] words = parsed.GetValue(subject) ?? [];
            if (words.FirstOrDefault(word => word.StartsWith('-')) is { } flag) throw new UsageException(TrainingSettings.Unknown(flag, command));
            string[] names = [.. words.Where(word => !word.Contains('=', StringComparison.Ordinal))];
            if (names.Length > 1) throw new UsageException($"'{names[1]}': one MODEL or CONFIG is enough; settings are key=value");
            if (parsed.GetValue(images) < 0) throw new UsageException("--images: expected 0 or more");
            if (parsed.GetValue(context) < 1) throw new UsageException("--context: expected at least 1 token");
            DType kvType = ModelOptions.KvTypeOf(parsed.GetValue(kept)!);
            (string? recipe, ModelPreset? shape) = Presets(parsed.GetValue(presets) ?? []);
            TrainingConfiguration configuration = Configuration(recipe, names.FirstOrDefault(), [.. words.Except(names)]);
            Func<Device, ModelVariant, LanguageModel> load = Loader(shape, names.FirstOrDefault(), configuration);
            PlanTarget place = target.Read(parsed);
            long memory = target.Memory(parsed) is > 0 and var asked ? asked : configuration.Memory;
            (SampleShape sample, configuration) = Sample(configuration, parsed.GetValue(images), load, place);
            AnsweringPlan answering = AnsweringPlan.Of(place.Open, device => load(device, configuration.Variant), parsed.GetValue(context), kvType);
            if (parsed.GetResult(context) is { Implicit: false } && answering.Context < parsed.GetValue(context))
                Console.Error.WriteLine($"--context {parsed.GetValue(context)}: the model has {answering.Context} positions; planned for as many");
            PlanRoom room = place.Room(memory);
            MemoryPlan plan = Fit(place.Rehearse(load), configuration, sample, room, answering);
            var report = new PlanReport(plan, answering, place.Name, room, place.Peaks() is { } peaks ? new Roofline(peaks, plan, answering) : null);
            if (parsed.GetValue(json)) Console.WriteLine(report.ToJson().ToJsonString());
            else report.Write();
            return 0;
        });
        return command;
    }

    // Where training does not fit, answering may.
    private static MemoryPlan Fit(Rehearsal rehearsal, TrainingConfiguration configuration, SampleShape sample, PlanRoom room, AnsweringPlan answering)
    {
        try
        {
            return MemoryPlanner.Fit(rehearsal, configuration, sample, room.Limit, room.DriverBytes, words: room.Words);
        }
        catch (NothingFitsException error)
        {
            string verdict = room.HoldsAnswer(answering.PeakBytes) ? "fits" : "does not fit either";
            throw new ConfigurationException($"to train, {error.Message}. To answer in {answering.Context} tokens takes {MemorySize.Format(answering.PeakBytes + room.DriverBytes)}, which {verdict}");
        }
    }

    // The two kinds have no name in common.
    private static (string? Recipe, ModelPreset? Shape) Presets(string[] names)
    {
        string[] recipes = [.. names.Where(TrainingPreset.Names.Contains)], shapes = [.. names.Except(recipes)];
        if (recipes.Length > 1 || shapes.Length > 1) throw new UsageException($"--preset {names[^1]}: one training configuration and one shape are enough");
        ModelPreset? shape = shapes is [var name] ? ModelPreset.Find(name) ?? throw new UsageException(
            $"--preset {name}: expected {string.Join(", ", ModelPreset.Names)} (the shape of a model) or {string.Join(", ", TrainingPreset.Names)} (a training configuration)") : null;
        return (recipes.FirstOrDefault(), shape);
    }

    private static TrainingConfiguration Configuration(string? recipe, string? name, string[] overrides)
    {
        bool isFile = name is not null && (name.EndsWith(".yaml", StringComparison.OrdinalIgnoreCase) || name.EndsWith(".yml", StringComparison.OrdinalIgnoreCase));
        TrainingConfiguration configuration = new TrainingSettings(recipe, isFile ? name : null, overrides).Read();
        return isFile || name is null ? configuration : configuration with { ModelNameOrPath = name };
    }

    private static Func<Device, ModelVariant, LanguageModel> Loader(ModelPreset? shape, string? name, TrainingConfiguration configuration)
    {
        if (shape is not null) return (device, variant) => ModelFolder.Rehearse(shape, device, variant);
        if (configuration.ModelNameOrPath.Length == 0) throw new UsageException(name is null ? "say what to plan: a MODEL, a CONFIG, or --preset NAME" : $"{name}: model_name_or_path is missing");
        string folder = Folder(configuration.ModelNameOrPath);
        return (device, variant) => ModelFolder.Rehearse(folder, device, variant);
    }

    // A plan reads no weights, so that nobody has to fetch them for it.
    private static string Folder(string model)
    {
        try
        {
            return ModelLocation.Resolve(model);
        }
        catch (UsageException error)
        {
            throw new UsageException($"{error.Message}; or plan for a shape alone, e.g. --preset medgemma-4b");
        }
    }

    private static (SampleShape, TrainingConfiguration) Sample(TrainingConfiguration configuration, int images, Func<Device, ModelVariant, LanguageModel> load, PlanTarget place)
    {
        using Device device = place.Open();
        using LanguageModel shape = load(device, new ModelVariant());
        (configuration, IReadOnlyList<string> notes) = SettingsHere.For(configuration, shape, device);
        foreach (string note in notes) Console.Error.WriteLine(note);
        using LanguageModel model = load(device, configuration.Variant);
        if (configuration.MaxLength == 0)
        {
            configuration = configuration with { MaxLength = Math.Min(UsualLength, model.Layout.MaxPositions) };
            Console.Error.WriteLine($"max_length is not set; planned for samples of {configuration.MaxLength} tokens");
        }

        if (model.TokensPerImage == 0) images = 0;
        return (SampleShape.OfLength(configuration.MaxLength, images, model.TokensPerImage), configuration);
    }
}
