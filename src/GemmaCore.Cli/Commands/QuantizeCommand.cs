using System.CommandLine;
using GemmaCore.Models;
using GemmaCore.Ops;
using GemmaCore.Tensors;

namespace GemmaCore.Cli.Commands;

/// <summary><c>gemmacore quantize</c>: a checkpoint with its linear layers in 4 or 8 bits.</summary>
internal static class QuantizeCommand
{
    public static Command Create()
    {
        var command = new Command("quantize", """
            Write a checkpoint with weights of 4 or 8 bits. Its linear layers are in NF4 or int8, as bitsandbytes and transformers read it, or in int8 with a scale for every 128 inputs.

            Examples:
              gemmacore quantize demo --kind nf4 --quantize-head int8 --out demo-nf4
              gemmacore quantize demo --kind int8-128 --out demo-int8-128
            """);
        var model = new Argument<string>("MODEL") { Description = "model folder, hub id in the cache, or demo" };
        var kind = new Option<string>("--kind") { Description = "nf4 (double quantised), nf4-plain (magnitudes in fp32), int8 (rows) or int8-128 (groups of 128 inputs)", Required = true };
        var head = new Option<string>("--quantize-head")
        {
            Description = "none or int8: how to hold embeddings and output head; only GemmaCore reads them in int8", DefaultValueFactory = _ => "none",
        };
        var output = new Option<string>("--out") { Description = "folder to create", Required = true };
        command.Add(model);
        command.Add(kind);
        command.Add(head);
        command.Add(output);
        command.SetAction(parsed =>
        {
            WeightFormat format = ModelOptions.FormatOf("--kind", parsed.GetValue(kind)!, allowNone: false);
            WeightFormat tables = ModelOptions.HeadFormatOf(parsed.GetValue(head)!);
            string source = ModelLocation.Resolve(parsed.GetValue(model)!), folder = parsed.GetValue(output)!;
            NewFolder.Fill(folder, () => Quantize(source, format, tables, folder));
            Console.WriteLine(folder);
            return 0;
        });
        return command;
    }

    private static void Quantize(string source, WeightFormat format, WeightFormat tables, string folder)
    {
        using var device = new CpuDevice(EnvironmentVariables.Threads);
        QuantizedCheckpoint.RequireDense(source, device);
        using LanguageModel loaded = ModelFolder.Load(source, device, format, tables);
        long dense = loaded.Linears.Sum(layer => layer.Weight.Shape.ElementCount), bytes = loaded.Linears.Sum(layer => layer.Weight.ByteCount);
        Console.Error.WriteLine(FormattableString.Invariant($"{loaded.Linears.Count} linear layers, {dense:N0} weights in {bytes:N0} bytes"));
        if (loaded.Head is Int8Matrix int8) Console.Error.WriteLine(FormattableString.Invariant($"head of {int8.Shape.ElementCount:N0} weights in {int8.ByteCount:N0} bytes"));
        QuantizedCheckpoint.Write(loaded, source, folder, NewFolder.Continue);
        ModelFiles.CopyBeside(source, folder);
    }
}
