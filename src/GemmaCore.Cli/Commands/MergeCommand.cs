using System.CommandLine;
using GemmaCore.Models;
using GemmaCore.Models.Lora;
using GemmaCore.Tensors;

namespace GemmaCore.Cli.Commands;

/// <summary><c>gemmacore merge</c>: adapter folded into a full checkpoint.</summary>
internal static class MergeCommand
{
    public static Command Create()
    {
        var command = new Command("merge", """
            Fold an adapter into a full checkpoint.

            Examples:
              gemmacore merge demo --adapter demo-out --out merged
              gemmacore merge demo --adapter demo-out --out merged --device cpu
            """);
        var model = new ModelOptions();
        var output = new Option<string>("--out") { Description = "folder to create", Required = true };
        model.AddTo(command, quantize: false);
        command.Add(output);
        command.SetAction(parsed =>
        {
            model.Check(parsed);
            string source = ModelLocation.Resolve(parsed.GetValue(model.Model)!), folder = parsed.GetValue(output)!;
            string[] adapters = parsed.GetValue(model.Adapter) ?? [];
            if (adapters.Length != 1) throw new UsageException("--adapter: merge takes exactly one; merge the result again for a second one");
            NewFolder.Fill(folder, () => Merge(source, adapters[0], folder));
            Console.WriteLine(folder);
            return 0;
        });
        return command;
    }

    private static void Merge(string source, string adapterFolder, string folder)
    {
        using var device = new CpuDevice(EnvironmentVariables.Threads);
        using LanguageModel loaded = ModelFolder.Load(source, device);
        using LoraAdapter adapter = LoraAdapter.Load(adapterFolder, loaded);
        ModelOptions.TellApplied(adapterFolder, adapter);
        AdapterMerge.Write(loaded, adapter, source, folder, NewFolder.Continue);
        ModelFiles.CopyBeside(source, folder);
    }
}
