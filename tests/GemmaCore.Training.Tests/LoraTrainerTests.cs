using GemmaCore.Checkpoints;
using GemmaCore.Models;
using GemmaCore.Models.Lora;
using GemmaCore.Tensors;
using GemmaCore.Testing;

namespace GemmaCore.Training.Tests;

public sealed class LoraTrainerTests
{
    private static readonly EncodedExample Good = new([2, 17, 99, 1003, 5], [false, false, true, true, true], [], []);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_step_after_one_that_failed_half_way_is_as_if_nothing_had_been(bool gradientCheckpointing)
    {
        float[] expected = Train(gradientCheckpointing, (trainer, _) => trainer.Step([[Good]], 0.01f));
        // The second micro-batch holds a token that the model does not have: the first one's gradients are in the parameters then.
        var bad = new EncodedExample([2, 1 << 24, 7], [false, true, true], [], []);
        float[] actual = Train(gradientCheckpointing, (trainer, _) =>
        {
            Assert.Throws<ShapeException>(() => trainer.Step([[Good], [bad]], 0.01f));
            return trainer.Step([[Good]], 0.01f);
        });
        Assert.Equal(expected, actual);
    }

    // One weight that is no number: the optimiser must not see such gradients, and the adapter is as it was.
    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    public void A_step_whose_loss_or_gradient_is_no_number_is_refused_and_changes_nothing(float bad)
    {
        float[] expected = Train(false, (trainer, _) => trainer.Step([[Good]], 0.01f));
        float[] actual = Train(false, (trainer, adapter) =>
        {
            // B is zero before the first step, so A alone would not show; the first B does.
            TensorView b = adapter.Parameters[1].Value;
            float[] before = b.ToFloats();
            b.CopyFrom([bad, .. before[1..]]);
            Assert.Contains("training has diverged", Assert.Throws<InvalidOperationException>(() => trainer.Step([[Good]], 0.01f)).Message, StringComparison.Ordinal);
            Assert.Equal(0, trainer.Optimizer.StepCount);
            b.CopyFrom(before);
            return trainer.Step([[Good]], 0.01f);
        });
        Assert.Equal(expected, actual);
    }

    private static float[] Train(bool gradientCheckpointing, Func<LoraTrainer, LoraAdapter, StepResult> steps)
    {
        using var device = new CpuDevice(2);
        using LanguageModel model = ModelFolder.Load(Goldens.DemoPath("model"), device);
        var config = AdapterConfig.Parse("""{"r": 2, "lora_alpha": 4, "target_modules": ["q_proj", "down_proj"]}"""u8.ToArray(), "adapter_config.json");
        using LoraAdapter adapter = LoraAdapter.Create(model, config, seed: 5);
        using var trainer = new LoraTrainer(model, adapter, new AdamW(adapter.Parameters, 0.9f, 0.999f, 1e-8f, 0.01f), seed: 1)
        {
            GradientCheckpointing = gradientCheckpointing,
        };
        StepResult result = steps(trainer, adapter);
        Assert.Equal(3, result.TargetCount);
        Assert.True(result.GradientNorm > 0);
        return [.. adapter.Parameters.SelectMany(parameter => parameter.Value.ToFloats())];
    }
}
