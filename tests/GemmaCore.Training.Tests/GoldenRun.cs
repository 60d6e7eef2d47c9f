using System.Runtime.InteropServices;
using System.Text.Json;
using GemmaCore.Checkpoints;
using GemmaCore.Inputs;
using GemmaCore.Models;
using GemmaCore.Models.Lora;
using GemmaCore.Tensors;
using GemmaCore.Testing;

namespace GemmaCore.Training.Tests;

/// <summary>A golden run of ten steps, set up on a device: the embedded model, the adapter it starts from, its rows and its settings.</summary>
internal sealed class GoldenRun : IDisposable
{
    private readonly DeviceLease _lease;
    private readonly LanguageModel _model;
    private readonly JsonDocument _document;
    private readonly EncodedExample[] _rows;
    private readonly int _micro, _perStep;

    /// <param name="name">Golden without its ending, e.g. <c>training/all_linear_r8</c>.</param>
    /// <param name="device">A name of <see cref="TestDevices"/>.</param>
    /// <param name="gradientCheckpointing">As in <see cref="LoraTrainer"/>.</param>
    /// <param name="model">Folder of the base model; null for the embedded one.</param>
    /// <param name="format">How the base holds its weights.</param>
    public GoldenRun(string name, string device, bool gradientCheckpointing = false, string? model = null, WeightFormat format = WeightFormat.AsStored)
    {
        _document = JsonDocument.Parse(File.ReadAllBytes(Goldens.Path($"{name}.json")));
        JsonElement run = _document.RootElement;
        Tensors = GoldenTensors.Load(Goldens.Path($"{name}.safetensors"));
        Log = [.. run.GetProperty("log").EnumerateArray().Select(entry => new Entry(entry))];
        _rows = [.. run.GetProperty("rows").EnumerateArray().Select(Row)];
        _micro = run.GetProperty("micro_batch").GetInt32();
        _perStep = _micro * run.GetProperty("gradient_accumulation").GetInt32();
        _lease = TestDevices.Lend(device);
        _model = ModelFolder.Load(model ?? Goldens.DemoPath("model"), Device, format);
        Adapter = InitialAdapter(name);
        float decay = run.GetProperty("optimizer").GetProperty("weight_decay").GetSingle();
        Trainer = new LoraTrainer(_model, Adapter, new AdamW(Adapter.Parameters, 0.9f, 0.999f, 1e-8f, decay), seed: 1)
        {
            GradientCheckpointing = gradientCheckpointing,
            MaxGradientNorm = run.GetProperty("max_grad_norm").GetSingle(),
            Reduction = run.GetProperty("loss_reduction").GetString() == "token_weighted" ? LossReduction.TokenWeighted : LossReduction.MeanOfMeans,
        };
    }

    public Device Device => _lease.Device;

    public Dictionary<string, GoldenTensor> Tensors { get; }

    public IReadOnlyList<Entry> Log { get; }

    public LoraAdapter Adapter { get; }

    public LoraTrainer Trainer { get; }

    /// <summary>The name of a parameter in the golden file, without what it is of it (gradient, final, initial).</summary>
    public static string NameOf(LoraParameter parameter) => "base_model.model." + parameter.Name;

    /// <summary>The micro-batches of a step, counted from 0.</summary>
    public EncodedExample[][] Batches(int step) => [.. _rows.Skip(step * _perStep).Take(_perStep).Chunk(_micro)];

    /// <summary>Distance of the adapter from the golden final one, of the whole way from the initial one: Frobenius norms over all tensors.</summary>
    public double FinalError()
    {
        double difference = 0, update = 0;
        foreach (LoraParameter parameter in Adapter.Parameters)
        {
            float[] ours = parameter.Value.ToFloats(), final = Tensors["final." + NameOf(parameter)].Floats, initial = Tensors["initial." + NameOf(parameter)].Floats;
            for (int i = 0; i < ours.Length; i++)
            {
                difference += Math.Pow(ours[i] - final[i], 2);
                update += Math.Pow(final[i] - initial[i], 2);
            }
        }

        return Math.Sqrt(difference / update);
    }

    public void Dispose()
    {
        Trainer.Dispose();
        Adapter.Dispose();
        _model.Dispose();
        _lease.Dispose();
        _document.Dispose();
    }

    private static EncodedExample Row(JsonElement row)
    {
        int[] prompt = Ids(row.GetProperty("prompt_ids")), answer = Ids(row.GetProperty("answer_ids"));
        string image = row.GetProperty("image").GetString()!;
        ImagePixels pixels = ImagePreprocessor.Load(Goldens.DemoPath("model"))
            .Process(ImageDecoder.Decode(ImageSource.FromFile(Goldens.DemoPath("data/" + image))));
        int[] ids = [.. prompt, .. answer];
        return new EncodedExample(ids, [.. ids.Select((_, i) => i >= prompt.Length)], [pixels], [image]);
    }

    private static int[] Ids(JsonElement list) => [.. list.EnumerateArray().Select(id => id.GetInt32())];

    // Through an adapter folder: PEFT's configuration of the same name, and the initial.* tensors as they are called in a file.
    private LoraAdapter InitialAdapter(string name)
    {
        string folder = Path.Combine(Path.GetTempPath(), "gemmacore-training-" + Guid.NewGuid().ToString("N"));
        Directory.CreateDirectory(folder);
        try
        {
            string config = File.ReadAllText(Goldens.Path($"adapters/{AdapterOf(name)}/adapter_config.json"));
            // QLoRA has the text-only run's targets, and rank and alpha of the other.
            if (name == "nf4/qlora_text_r8")
                config = """{"r": 8, "lora_alpha": 16, "target_modules": ".*language_model.*_proj"}""";
            File.WriteAllText(Path.Combine(folder, "adapter_config.json"), config);
            SafetensorsWriter.Write(Path.Combine(folder, "adapter_model.safetensors"), [.. Tensors.Where(item => item.Key.StartsWith("initial.", StringComparison.Ordinal))
                .Select(item => new WritableTensor(
                    item.Key["initial.".Length..], DType.F32, Shape.From(item.Value.Shape), stream => stream.Write(MemoryMarshal.AsBytes<float>(item.Value.Floats))))]);
            return LoraAdapter.LoadTrainable(folder, _model, dropout: 0);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    // The text-only run was made with rsLoRA too: its gradients of B are twice those of alpha / r.
    private static string AdapterOf(string name) => name == "training/text_only_r4" ? "text_only_r4_rslora" : "all_linear_r8";

    /// <summary>What the golden run logged of a step.</summary>
    internal sealed class Entry(JsonElement entry)
    {
        public float LearningRate { get; } = entry.GetProperty("learning_rate").GetSingle();

        public double GradientNorm { get; } = entry.GetProperty("grad_norm_before_clip").GetDouble();

        public double[] Losses { get; } = [.. entry.GetProperty("micro_batch_mean_losses").EnumerateArray().Select(loss => loss.GetDouble())];
    }
}
