using GemmaCore.Checkpoints;
using GemmaCore.Generation;
using GemmaCore.Inputs;
using GemmaCore.Models;
using GemmaCore.Models.Lora;
using GemmaCore.Tensors;
using GemmaCore.Testing;
using GemmaCore.Training;

namespace GemmaCore.Cuda.Tests;

/// <summary>
/// The whole embedded model under the simulator's race and bounds checks, as short as it can be. The golden tests of models run without them; what an operation
/// is given there, views into arenas and caches, and the order of operations on the stream is seen by the detector only here.
/// </summary>
public sealed class CheckedModelTests
{
    private const string Picture = "validation-public/Endoscopy/phantom_colon/imagesVal/phantom_colon_0000.jpg";

    [Theory]
    [InlineData("gtx1650/priority")]
    [InlineData("t4/random")]
    [InlineData("a100/adversarial")]
    public void Two_answers_are_given_without_a_finding(string card)
    {
        RequireChecks();
        CancellationToken token = TestContext.Current.CancellationToken;
        using GemmaModel model = GemmaModel.Load(Goldens.DemoPath("model"), TestDevices.OpenCard(card)), cpu = GemmaModel.Load(Goldens.DemoPath("model"), 1);
        var question = new ChatMessage(ChatRole.User, [new ImagePart(ImageSource.FromFile(Goldens.DemoPath("data/" + Picture))), new TextPart("Describe the endoscopic finding.")]);
        // Past the window of 32 in the prefill, and a sequence that stops before the other; the third and fourth steps are replayed ones.
        (Prompt, SamplingParams)[] prompts =
        [
            (cpu.Prompts.Encode([question], addGenerationPrompt: true), new SamplingParams { MaxTokens = 5 }),
            (cpu.Prompts.EncodeText("The lesion is", []), new SamplingParams { MaxTokens = 2, IgnoreEos = true }),
        ];

        IEnumerable<int> Answer(GemmaModel with) => with.Generate(prompts, null, token).SelectMany(answer => answer.Tokens).Select(one => one.Id);

        Assert.Equal(Answer(cpu), Answer(model));
    }

    [Theory]
    [InlineData("gtx1650/random", false)]
    [InlineData("t4/adversarial", true)]
    [InlineData("a100/round_robin", false)]
    public void A_training_step_is_made_without_a_finding(string card, bool gradientCheckpointing)
    {
        RequireChecks();
        using DeviceLease lease = TestDevices.Lend(card), cpu = TestDevices.Lend("cpu");
        // A loss is a logarithm of a sum of exponentials less a logit: neither moves by more than the logits' floor.
        double floor = 2 * PrecisionFloor.OfOneImage(lease.Device).Largest;
        Assert.InRange(Math.Abs(Loss(lease.Device, gradientCheckpointing) - Loss(cpu.Device, gradientCheckpointing)), 0, floor);
    }

    private static double Loss(Device device, bool gradientCheckpointing)
    {
        const string config = """{"r": 4, "lora_alpha": 8, "lora_dropout": 0.1, "target_modules": "all-linear"}""";
        using LanguageModel model = ModelFolder.Load(Goldens.DemoPath("model"), device);
        using LoraAdapter adapter = LoraAdapter.Create(model, AdapterConfig.Parse(System.Text.Encoding.UTF8.GetBytes(config), "adapter_config.json"), seed: 5);
        using var trainer = new LoraTrainer(model, adapter, new AdamW(adapter.Parameters, 0.9f, 0.999f, 1e-8f, 0.1f), seed: 1) { GradientCheckpointing = gradientCheckpointing };
        PromptEncoder prompts = PromptEncoder.Load(Goldens.DemoPath("model"));
        ChatMessage question = new(ChatRole.User, [new ImagePart(ImageSource.FromFile(Goldens.DemoPath("data/" + Picture))), new TextPart("What?")]);
        Prompt prompt = prompts.Encode([question], addGenerationPrompt: true);
        int[] ids = [.. prompt.Ids, 390, 293, 11];
        var row = new EncodedExample(ids, [.. ids.Select((_, i) => i >= prompt.Ids.Length)], prompt.Images, [Picture]);
        return trainer.Step([[row]], 1e-3f).Loss;
    }

    private static void RequireChecks()
    {
        if (TestDevices.UsesRealGpu) Assert.Skip("only the simulator checks");
        Assert.True(TestDevices.ChecksMemory);
        Assert.NotEqual("off", Environment.GetEnvironmentVariable("GEMMACORE_CUDASIM_CHECKS"));
    }
}
