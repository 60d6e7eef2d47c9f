using System.Text.Json;
using GemmaCore.Checkpoints;
using GemmaCore.Models;
using GemmaCore.Models.Lora;
using GemmaCore.Tensors;
using GemmaCore.Testing;
using GemmaCore.Training.RunFiles;

namespace GemmaCore.Training.Tests;

public sealed class EightBitAdamWTests : IDisposable
{
    private readonly string _folder = Path.Combine(Path.GetTempPath(), "gemmacore-adamw-" + Guid.NewGuid().ToString("N"));

    // Eight questions of the demo without their pictures. The model was never taught questions; learning them by heart is what there is to do.
    private static readonly EncodedExample[] Rows = LoadRows();

    [Fact]
    public void Training_reaches_nearly_the_loss_of_moments_in_32_bits()
    {
        const int steps = 40;
        double Train(bool eightBit, out double first)
        {
            using var run = new Run("cpu", eightBit);
            first = run.Step();
            for (int i = 1; i < steps; i++) run.Step();
            return run.Trainer.Evaluate([Rows]);
        }

        double exact = Train(false, out double start), eightBit = Train(true, out double sameStart);
        Assert.Equal(start, sameStart);
        Assert.True(exact < start / 2, $"the run learns nothing: {start} -> {exact}");
        TestContext.Current.TestOutputHelper?.WriteLine(FormattableString.Invariant($"{start} -> {exact} with moments in 32 bits, {eightBit} in 8"));
        Assert.InRange(eightBit, exact - 0.005 * (start - exact), exact + 0.005 * (start - exact));
    }

    [Fact]
    public void Moments_take_two_bytes_a_parameter_and_a_magnitude_for_256_of_them()
    {
        using var run = new Run("cpu", eightBit: true);
        long quantized = 0, small = 0, blocks = 0;
        foreach (LoraParameter parameter in run.Adapter.Parameters)
        {
            long count = parameter.Value.Shape.ElementCount;
            if (count < 4096) small += count;
            else (quantized, blocks) = (quantized + count, blocks + (count + 255) / 256);
        }

        Assert.True(quantized > 0 && small > 0, "the adapter should have parameters of both kinds");
        Assert.Equal(2 * quantized + 2 * 4 * blocks + 2 * 4 * small, run.Trainer.Optimizer.State.Sum(item => item.View.ByteCount));
    }

    [Theory]
    [InlineData("cpu")]
    [InlineData("t4/priority")]
    public void A_run_that_goes_on_from_a_checkpoint_has_the_bytes_of_one_that_was_not_interrupted(string device)
    {
        List<byte[]> expected;
        using (var whole = new Run(device, eightBit: true))
        {
            for (int i = 0; i < 2; i++) whole.Step();
            expected = whole.Everything();
        }

        using var folder = new RunFolder(_folder);
        using (var first = new Run(device, eightBit: true))
        {
            first.Step();
            var state = new RunState { Step = 1, MaxSteps = 2 };
            folder.Save(state, first.Adapter, first.Trainer.Optimizer, NameGeneration.Second, TrainerStateFile.Format(state, 1, 1, 1, 1), 0);
        }

        using var second = new Run(device, eightBit: true);
        RunFolder.Restore(folder.Checkpoints[0].Folder, second.Adapter, second.Trainer.Optimizer);
        second.Step();
        Assert.Equal(expected, second.Everything());
    }

    [Theory]
    [InlineData(true, "expected u8[32, 128]@cpu, found f32[32, 128]@cpu")]
    [InlineData(false, "expected f32[32, 128]@cpu, found u8[32, 128]@cpu")]
    public void A_checkpoint_of_the_other_width_is_refused(bool eightBit, string message)
    {
        using var folder = new RunFolder(_folder);
        using (var other = new Run("cpu", !eightBit))
        {
            var state = new RunState { Step = 1, MaxSteps = 2 };
            folder.Save(state, other.Adapter, other.Trainer.Optimizer, NameGeneration.Second, TrainerStateFile.Format(state, 1, 1, 1, 1), 0);
        }

        using var run = new Run("cpu", eightBit);
        string refusal = Assert.Throws<CheckpointException>(() => RunFolder.Restore(folder.Checkpoints[0].Folder, run.Adapter, run.Trainer.Optimizer)).Message;
        Assert.Contains($"{message}; the checkpoint was made with optim {(eightBit ? "adamw_torch" : "adamw_8bit")}: set it, or start anew", refusal, StringComparison.Ordinal);
    }

    private static EncodedExample[] LoadRows()
    {
        using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(Goldens.Path("training/all_linear_r8.json")));
        IEnumerable<int[]> questions = document.RootElement.GetProperty("rows").EnumerateArray()
            .Select(row => row.GetProperty("prompt_ids").EnumerateArray().Select(id => id.GetInt32()).Where(id => id is not (35 or 36 or 4032)).ToArray());
        return [.. questions.DistinctBy(ids => string.Join(' ', ids)).Take(8).Select(ids => new EncodedExample(ids, [.. ids.Select((_, i) => i > 0)], [], []))];
    }

    public void Dispose()
    {
        if (Directory.Exists(_folder)) Directory.Delete(_folder, recursive: true);
    }

    /// <summary>The embedded model with an adapter of rank 32 (A of q_proj has 4096 elements) and one of rank 2.</summary>
    private sealed class Run : IDisposable
    {
        private readonly DeviceLease _lease;
        private readonly LanguageModel _model;

        public Run(string device, bool eightBit)
        {
            _lease = TestDevices.Lend(device);
            _model = ModelFolder.Load(Goldens.DemoPath("model"), _lease.Device);
            var config = AdapterConfig.Parse(
                """{"r": 32, "lora_alpha": 32, "target_modules": ".*language_model.*(q_proj|down_proj|gate_proj)", "rank_pattern": {"gate_proj": 2}}"""u8.ToArray(),
                "adapter_config.json");
            Adapter = LoraAdapter.Create(_model, config, seed: 5);
            Trainer = new LoraTrainer(_model, Adapter, new AdamW(Adapter.Parameters, 0.9f, 0.999f, 1e-8f, 0.01f, eightBit), seed: 1);
        }

        public LoraAdapter Adapter { get; }

        public LoraTrainer Trainer { get; }

        public double Step() => Trainer.Step([Rows], 0.002f).Loss;

        public List<byte[]> Everything() =>
            [.. Adapter.Parameters.Select(parameter => parameter.Value).Concat(Trainer.Optimizer.State.Select(item => item.View)).Select(Bytes)];

        public void Dispose()
        {
            Trainer.Dispose();
            Adapter.Dispose();
            _model.Dispose();
            _lease.Dispose();
        }

        private static byte[] Bytes(TensorView view)
        {
            byte[] bytes = new byte[view.ByteCount];
            view.Device.CopyToHost(view, bytes);
            return bytes;
        }
    }
}
