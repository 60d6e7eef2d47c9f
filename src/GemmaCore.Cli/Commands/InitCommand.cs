using System.CommandLine;
using GemmaCore.Models;
using GemmaCore.Tensors;

namespace GemmaCore.Cli.Commands;

/// <summary><c>gemmacore init</c>: a checkpoint with random weights.</summary>
internal static class InitCommand
{
    public static Command Create()
    {
        var command = new Command("init", """
            Write a checkpoint with reproducible random weights. It serves tests and benchmarks without a download.

            Examples:
              gemmacore init --preset tiny --out tiny-model
              gemmacore init --preset mini --out mini-model --seed 7 --dtype fp32
            """);
        var preset = new Option<string>("--preset") { Description = string.Join(", ", ModelPreset.Names), Required = true };
        var output = new Option<string>("--out") { Description = "folder to create", Required = true };
        var seed = new Option<ulong>("--seed") { Description = "seed of the weights" };
        var dtype = new Option<string>("--dtype") { Description = "bf16, fp16 or fp32", DefaultValueFactory = _ => "bf16" };
        dtype.AcceptOnlyFromAmong("bf16", "fp16", "fp32");
        foreach (Option option in (Option[])[preset, output, seed, dtype]) command.Add(option);
        command.SetAction(parsed =>
        {
            string name = parsed.GetValue(preset)!, folder = parsed.GetValue(output)!;
            ModelPreset found = ModelPreset.Find(name) ?? throw new UsageException($"--preset {name}: expected {string.Join(", ", ModelPreset.Names)}");
            DType type = parsed.GetValue(dtype) switch { "fp32" => DType.F32, "fp16" => DType.F16, _ => DType.BF16 };
            NewFolder.Fill(folder, () =>
            {
                RandomCheckpoint.Write(found, folder, parsed.GetValue(seed), type, NewFolder.Continue);
                // The tiny preset has the embedded model's vocabulary, so its tokenizer fits and the folder can answer at once.
                if (name == "tiny") ModelFiles.CopyBeside(Path.Combine(ModelLocation.Demo, "model"), folder);
            });
            Console.WriteLine(folder);
            return 0;
        });
        return command;
    }
}
