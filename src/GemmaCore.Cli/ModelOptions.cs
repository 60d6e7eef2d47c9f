using System.CommandLine;
using GemmaCore.Generation;
using GemmaCore.Models;
using GemmaCore.Models.Lora;
using GemmaCore.Tensors;
using GemmaCore.Training.Configuration;

namespace GemmaCore.Cli;

/// <summary>The options that mean the same on every verb that loads a model.</summary>
internal sealed class ModelOptions
{
    public Argument<string> Model { get; } = new("MODEL") { Description = "model folder, hub id in the cache, or demo" };

    public DeviceOptions Device { get; } = new();

    public Option<string> Quantize { get; } = new("--quantize") { Description = "none, nf4, nf4-plain, int8 or int8-128: how to hold the linear layers' weights", DefaultValueFactory = _ => "none" };

    public Option<string> QuantizeHead { get; } = new("--quantize-head") { Description = "none or int8: how to hold embeddings and output head", DefaultValueFactory = _ => "none" };

    public Option<string> KvType { get; } = new("--kv-cache-dtype") { Description = "f32 or bf16: how to keep keys and values; bf16 takes half the memory", DefaultValueFactory = _ => "f32" };

    public Option<string?> ResizeMode { get; } = new("--resize-mode")
    {
        Description = "square or pad: squash pictures to a square, as transformers does, or put them into a black one, as Google's server does; square, or what a YAML file of data says, where not given",
    };

    public Option<bool> ExifOrientation { get; } = new("--exif-orientation")
    {
        Description = "turn pictures as their EXIF orientation says; off, as transformers does not, where neither this nor a YAML file of data says so",
    };

    public Option<string[]> Adapter { get; } = new("--adapter") { Description = "PEFT adapter folder; may be repeated" };

    public void AddTo(Command command, bool model = true, bool adapter = true, bool quantize = true, bool cache = true)
    {
        if (model) command.Add(Model);
        if (adapter) command.Add(Adapter);
        Device.AddTo(command);
        if (!quantize) return;
        command.Add(Quantize);
        command.Add(QuantizeHead);
        if (!cache) return;
        command.Add(KvType);
        ResizeMode.AcceptOnlyFromAmong([.. DatasetConfiguration.ResizeModes]);
        command.Add(ResizeMode);
        command.Add(ExifOrientation);
    }

    /// <summary>Refuses what makes no sense.</summary>
    public void Check(ParseResult parsed)
    {
        Device.Check(parsed);
        if (parsed.GetResult(Quantize) is not null) _ = FormatOf(parsed);
        if (parsed.GetResult(QuantizeHead) is not null) _ = HeadFormatOf(parsed.GetValue(QuantizeHead)!);
        if (parsed.GetResult(KvType) is not null) _ = KvTypeOf(parsed.GetValue(KvType)!);
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
        GemmaModel model = LoadBase(parsed, parsed.GetValue(Model)!);
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

    /// <summary>Loads a model without adapters, as the options say.</summary>
    public GemmaModel LoadBase(ParseResult parsed, string name)
    {
        ModelVariant variant = VariantOf(parsed);
        GemmaModel model = GemmaModel.Load(ModelLocation.Resolve(name), Device.Open(parsed), variant.Format, variant.Tables);
        if (parsed.GetValue(KvType) is { } kept) model.Model.KvType = KvTypeOf(kept);
        model.Prompts = Pictures(parsed, new PictureSettings()).Apply(model.Prompts);
        return model;
    }

    /// <summary>How pictures are prepared: as the flags say, and where they do not, as <paramref name="data"/> has it.</summary>
    public PictureSettings Pictures(ParseResult parsed, PictureSettings data) => data with
    {
        Pads = parsed.GetResult(ResizeMode) is not null && parsed.GetValue(ResizeMode) is { } mode ? mode == "pad" : data.Pads,
        Orients = parsed.GetResult(ExifOrientation) is { Implicit: false } ? parsed.GetValue(ExifOrientation) : data.Orients,
    };

    /// <summary>How linear layers are to be held.</summary>
    public WeightFormat FormatOf(ParseResult parsed) => FormatOf("--quantize", parsed.GetValue(Quantize)!, allowNone: true);

    /// <summary>How all weights are to be held.</summary>
    public ModelVariant VariantOf(ParseResult parsed) => new(FormatOf(parsed), HeadFormatOf(parsed.GetValue(QuantizeHead)!));

    /// <summary>The flags that say so again, each after a space; nothing for weights as stored.</summary>
    public string FlagsOf(ParseResult parsed) =>
        string.Concat(((Option<string>[])[Quantize, QuantizeHead]).Where(flag => parsed.GetValue(flag) != "none").Select(flag => $" {flag.Name} {parsed.GetValue(flag)}"));

    /// <summary>How embeddings and head are to be held.</summary>
    public static WeightFormat HeadFormatOf(string name) => name switch
    {
        "none" => WeightFormat.AsStored,
        "int8" => WeightFormat.Int8,
        _ => throw new UsageException($"--quantize-head {name}: expected none or int8"),
    };

    /// <summary>How keys and values are to be kept.</summary>
    public static DType KvTypeOf(string name) => name switch
    {
        "f32" => DType.F32,
        "bf16" => DType.BF16,
        _ => throw new UsageException($"--kv-cache-dtype {name}: expected f32 or bf16"),
    };

    /// <summary>A format by the name that options give it.</summary>
    public static WeightFormat FormatOf(string option, string name, bool allowNone) => name switch
    {
        "none" when allowNone => WeightFormat.AsStored,
        "nf4" => WeightFormat.Nf4,
        "nf4-plain" => WeightFormat.Nf4Plain,
        "int8" => WeightFormat.Int8,
        "int8-128" => WeightFormat.Int8Group,
        _ => throw new UsageException($"{option} {name}: expected {(allowNone ? "none, " : "")}nf4, nf4-plain, int8 or int8-128"),
    };
}
