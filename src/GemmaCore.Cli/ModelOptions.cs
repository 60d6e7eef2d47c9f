using System.CommandLine;
using GemmaCore.Generation;
using GemmaCore.Models.Lora;

namespace GemmaCore.Cli;

/// <summary>The options that mean the same on every verb that loads a model.</summary>
internal sealed class ModelOptions
{
    public Argument<string> Model { get; } = new("MODEL") { Description = "model folder, hub id in the cache, or demo" };

    public Option<string> Device { get; } = new("--device") { Description = "auto, cpu or cuda[:N]", DefaultValueFactory = _ => "auto" };

    public Option<string> Dtype { get; } = new("--dtype") { Description = "auto or fp32 (the CPU computes in fp32)", DefaultValueFactory = _ => "auto" };

    public Option<string> Quantize { get; } = new("--quantize") { Description = "none", DefaultValueFactory = _ => "none" };

    public Option<string[]> Adapter { get; } = new("--adapter") { Description = "PEFT adapter folder; may be repeated" };

    public void AddTo(Command command, bool model = true, bool adapter = true)
    {
        if (model) command.Add(Model);
        if (adapter) command.Add(Adapter);
        command.Add(Device);
        command.Add(Dtype);
        command.Add(Quantize);
    }

    /// <summary>Refuses what this build cannot do, by name.</summary>
    public void Check(ParseResult parsed)
    {
        string device = parsed.GetValue(Device)!, dtype = parsed.GetValue(Dtype)!, quantize = parsed.GetValue(Quantize)!;
        if (device.StartsWith("cuda", StringComparison.Ordinal)) throw new UsageException("--device cuda: this build computes on the CPU only; use --device cpu");
        if (device is not ("auto" or "cpu")) throw new UsageException($"--device {device}: expected auto, cpu or cuda[:N]");
        if (dtype is not ("auto" or "fp32")) throw new UsageException($"--dtype {dtype}: the CPU computes in fp32; use auto or fp32");
        if (quantize != "none") throw new UsageException($"--quantize {quantize}: quantised weights are not available in this build; use none");
    }

    /// <summary>Says on stderr how much of an adapter was applied (all of it, or loading had failed) and which of its settings are unknown here.</summary>
    public static void TellApplied(string folder, LoraAdapter adapter)
    {
        Console.Error.WriteLine($"adapter {folder}: applied {adapter.AppliedTensorCount} of {adapter.AppliedTensorCount} tensors");
        if (adapter.Config.UnknownFields.Count > 0)
            Console.Error.WriteLine($"adapter {folder}: adapter_config.json has settings unknown to GemmaCore, which it ignores: {string.Join(", ", adapter.Config.UnknownFields)}");
    }

    /// <summary>Loads the model and its adapters, telling what was applied.</summary>
    public GemmaModel Load(ParseResult parsed)
    {
        Check(parsed);
        GemmaModel model = GemmaModel.Load(ModelLocation.Resolve(parsed.GetValue(Model)!), EnvironmentVariables.Threads);
        try
        {
            foreach (string folder in parsed.GetValue(Adapter) ?? []) TellApplied(folder, model.LoadAdapter(folder));
            return model;
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }
}
