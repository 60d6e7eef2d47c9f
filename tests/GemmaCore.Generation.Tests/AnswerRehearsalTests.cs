using GemmaCore.Inputs;
using GemmaCore.Models;
using GemmaCore.Tensors;
using GemmaCore.Testing;

namespace GemmaCore.Generation.Tests;

/// <summary>What a plan says of an answer's memory is what the answer takes.</summary>
public sealed class AnswerRehearsalTests
{
    private const string Colon = "validation-public/Endoscopy/phantom_colon/imagesVal/phantom_colon_0000.jpg";

    // A picture and a question, in one part and in several, with pages to spare in the last.
    [Theory]
    [InlineData("cpu", WeightFormat.AsStored, DType.F32, 60, 90)]
    [InlineData("cpu", WeightFormat.AsStored, DType.F32, 1500, 20)]
    [InlineData("cpu", WeightFormat.Nf4, DType.BF16, 3000, 20)]
    [InlineData("gtx1650/idle", WeightFormat.AsStored, DType.F32, 200, 2)]
    [InlineData("h200/idle", WeightFormat.Nf4, DType.BF16, 600, 2)]
    public void An_answer_takes_what_its_rehearsal_says(string name, WeightFormat format, DType kvType, int words, int maxTokens)
    {
        using Device device = name == "cpu" ? new CpuDevice(2) : TestDevices.OpenCard(name);
        using GemmaModel model = GemmaModel.Load(Goldens.DemoPath("model"), device, format);
        model.Model.KvType = kvType;
        Prompt prompt = MixedRequests.Ask(model, string.Concat(Enumerable.Repeat("a lesion, ", words / 4)), Colon);
        GenerationResult answer = model.Generate([(prompt, new SamplingParams { MaxTokens = maxTokens, IgnoreEos = true })], null, TestContext.Current.CancellationToken)[0];
        Assert.Equal(maxTokens, answer.Tokens.Count);

        using Device imagined = device.OpenRehearsal();
        using LanguageModel rehearsed = ModelFolder.Rehearse(Goldens.DemoPath("model"), imagined, new ModelVariant(format));
        rehearsed.KvType = kvType;
        AnswerRehearsal.Run(rehearsed, prompt.Ids.Length + maxTokens);
        Assert.InRange(device.PeakAllocatedBytes / (double)imagined.PeakAllocatedBytes, 0.95, 1.05);
    }
}
