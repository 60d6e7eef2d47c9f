using System.CommandLine;
using GemmaCore.Bench;
using GemmaCore.Models;
using GemmaCore.Tensors;

namespace GemmaCore.Cli.Commands;

/// <summary><c>gemmacore bench</c>: operations, and whole models, against what the device can do at most.</summary>
internal static class BenchCommand
{
    public static Command Create()
    {
        var command = new Command("bench", """
            Time operations against the limits of this device. Its bandwidth and arithmetic are measured first; results are verified, then timed. More
            than 100 % of the bandwidth is that of caches. Without a name all operations are timed, which takes minutes. A model's name times the whole model with random weights, in other formats as well: gemma-3-1b:nf4:head8.

            Examples:
              gemmacore bench rms_norm rope --out figures.csv
              gemmacore bench mini:int8 --no-training --json
            """);
        var names = new Argument<string[]>("OP|MODEL")
        {
            Description = $"operations; all of them where nothing is said: {string.Join(", ", Benchmarks.OperationNames)}; or models: {string.Join(", ", ModelPreset.Names)}",
            Arity = ArgumentArity.ZeroOrMore,
        };
        var smoke = new Option<bool>("--smoke") { Description = "smallest shapes, to see that everything runs; figures mean nothing" };
        var noTraining = new Option<bool>("--no-training") { Description = "models without training steps" };
        var threads = new Option<int>("--threads") { Description = "of the CPU; one a processor where not given" };
        var output = new Option<string?>("--out") { Description = "file to write the figures to, as CSV" };
        var json = new Option<bool>("--json") { Description = "print one JSON object a line: the machine, then each figure" };
        var device = new DeviceOptions();
        command.Add(names);
        foreach (Option option in (Option[])[smoke, noTraining, threads, output, json]) command.Add(option);
        device.AddTo(command);
        command.SetAction(parsed =>
        {
            string[] wanted = parsed.GetValue(names) ?? [];
            if (wanted.FirstOrDefault(name => name.StartsWith('-')) is { } flag) throw new UsageException(Edge.Unknown(flag, command));
            if (wanted.FirstOrDefault(name => !Benchmarks.Knows(name)) is { } unknown)
                throw new UsageException($"there is no operation or model '{unknown}'; operations: {string.Join(", ", Benchmarks.OperationNames)}; models: {string.Join(", ", ModelPreset.Names)}");
            if (parsed.GetResult(threads) is not null && parsed.GetValue(threads) < 1) throw new UsageException("--threads: expected 1 or more");
            bool tiny = parsed.GetValue(smoke);
            using Device place = device.Open(parsed, parsed.GetValue(threads));
            MachinePeaks peaks = MachinePeaks.Measure(place, tiny);
            var report = new BenchReport(parsed.GetValue(json), parsed.GetValue(output), place, peaks);
            report.Start();
            var clock = new Stopclock(place, peaks, tiny, report, Edge.Interrupted);
            int failures = Benchmarks.Run(wanted, clock, !parsed.GetValue(noTraining), line => Console.Error.WriteLine("gemmacore: " + line));
            return failures == 0 ? 0 : 1;
        });
        return command;
    }
}
