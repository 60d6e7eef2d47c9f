using System.CommandLine;
using GemmaCore.Models;

namespace GemmaCore.Cli.Commands;

/// <summary><c>gemmacore demo</c>: the whole story on the embedded model and data.</summary>
internal static class DemoCommand
{
    public static Command Create()
    {
        var command = new Command("demo", """
            Evaluate, fine-tune, evaluate again: the embedded model. The two tasks are ones it was not taught; at the end it answers one image.

            Examples:
              gemmacore demo
              gemmacore demo --smoke --out demo-smoke --quantize nf4
            """);
        var model = new ModelOptions();
        var output = new Option<string>("--out") { Description = "folder for adapter, plot and report", DefaultValueFactory = _ => "demo-out" };
        var seed = new Option<int>("--seed") { Description = "seed of the run", DefaultValueFactory = _ => 42 };
        var smoke = new Option<bool>("--smoke") { Description = "one question of each data set and two small training steps, to see that everything runs" };
        var json = new Option<bool>("--json") { Description = "print the report as one JSON document" };
        model.AddTo(command, model: false, adapter: false, cache: false);
        foreach (Option option in (Option[])[output, seed, smoke, json]) command.Add(option);
        command.SetAction(parsed =>
        {
            model.Check(parsed);
            ModelVariant variant = model.VariantOf(parsed);
            // An adapter trained on another base than the one that answers would say nothing about either.
            if (variant.Format == WeightFormat.Int8Group) throw new UsageException($"--quantize {parsed.GetValue(model.Quantize)}: training holds a base in nf4, nf4-plain or int8; choose one of them");
            var story = new DemoStory(parsed.GetValue(output)!, parsed.GetValue(seed), parsed.GetValue(smoke), variant, () => model.Device.Open(parsed));
            DemoReport report = story.Tell(Edge.Interrupted);
            if (parsed.GetValue(json)) Console.WriteLine(report.ToJson().ToJsonString());
            else DemoTable.Write(report, parsed.GetValue(output)!, model.FlagsOf(parsed));
            return 0;
        });
        return command;
    }
}
