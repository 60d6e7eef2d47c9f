using System.Text.Json;
using GemmaCore.Cuda;
using GemmaCore.Inputs;
using GemmaCore.Models;
using GemmaCore.Tensors;
using GemmaCore.Testing;

namespace GemmaCore.Generation.Tests;

/// <summary>The greedy goldens through the CUDA engine, on a simulated card of every tier.</summary>
public sealed class CardGreedyGoldenTests
{
    private const string File = "model/greedy.json";

    private static readonly JsonDocument Golden = JsonDocument.Parse(System.IO.File.ReadAllBytes(Goldens.Path(File)));

    // The file has ten groups of three cases each, one group per data set and one of raw texts: every card answers one of each group, and three cards all of them.
    public static TheoryData<string, int> Cards => [.. TestDevices.Cards().Select((card, index) => (card, index % 3))];

    // In fp32 the tokens are the golden ones. In 16 bits every logit may move by the floor E, so the chosen token may be one that fp32 puts up to 2 E below its
    // best; on which prefix does not matter, so the rule holds for every token of an answer, also after the first that differs from the golden one.
    [Theory]
    [MemberData(nameof(Cards))]
    public void Every_token_is_the_best_one_up_to_the_floor_of_the_card(string card, int third)
    {
        CancellationToken token = TestContext.Current.CancellationToken;
        CudaDevice device = TestDevices.OpenCard(card);
        using GemmaModel model = GemmaModel.Load(Goldens.DemoPath("model"), device), reference = GemmaModel.Load(Goldens.DemoPath("model"), 2);
        JsonElement[] cases = [.. Golden.RootElement.EnumerateArray().Where((_, index) => index % 3 == third)];
        (Prompt, SamplingParams)[] prompts = [.. cases.Select(item => (GreedyGoldenTests.PromptOf(model, item), Greedy(item)))];

        IReadOnlyList<GenerationResult> answers = model.Generate(prompts, null, token);

        double shortfall = 0, logprob = 0;
        int equal = 0;
        for (int i = 0; i < cases.Length; i++)
        {
            int[] expected = [.. cases[i].GetProperty("tokens").EnumerateArray().Select(id => id.GetInt32())], ours = [.. answers[i].Tokens.Select(one => one.Id)];
            bool same = ours.SequenceEqual(expected);
            equal += same ? 1 : 0;
            shortfall = Math.Max(shortfall, Shortfall(reference, prompts[i].Item1, ours));
            if (!same || !cases[i].TryGetProperty("logprobs", out JsonElement recorded)) continue;
            logprob = Math.Max(logprob, recorded.EnumerateArray().Zip(answers[i].Tokens, (value, one) => Math.Abs(value.GetDouble() - one.Logprob)).Max());
        }

        string path = device.PrecisionPath;
        TestContext.Current.TestOutputHelper?.WriteLine($"{path}: {equal} of {cases.Length} answers equal token for token");
        if (device.Precision == CudaPrecision.Float32) Assert.Equal(0, Parity.ReportExact("greedy", File, $"answers on a simulated card, {path}", equal, cases.Length));
        // A log-probability is a logit less the logarithm of a sum of exponentials, and neither moves by more than E.
        double floor = 2 * PrecisionFloor.OfOneImage(device).Largest, allowed = device.Precision == CudaPrecision.Float32 ? 1e-3 : floor;
        Assert.InRange(Parity.Report("greedy", File, $"fp32 logit given away by a token on a simulated card, {path}", shortfall, floor), 0, floor);
        Assert.InRange(Parity.Report("greedy", File, $"log-probabilities on a simulated card, {path} (absolute)", logprob, allowed), 0, allowed);
    }

    private static SamplingParams Greedy(JsonElement item) => new() { MaxTokens = Math.Max(48, item.GetProperty("tokens").GetArrayLength()), Logprobs = 0 };

    /// <summary>How far below the best logit the chosen tokens are, at worst, in fp32 on the CPU after the same prefix.</summary>
    internal static double Shortfall(GemmaModel reference, Prompt prompt, int[] answer)
    {
        using var arena = new Arena(reference.Model.Device);
        var batch = new TokenBatch();
        batch.Add([.. prompt.Ids, .. answer], reference.Model.ImageTokenId, null);
        batch.ImageFeatures = ImageEncoding.Encode(reference.Model, [.. prompt.Images.Select(image => image.Values)], arena);
        TensorView hidden = reference.Model.Forward(batch, arena, null).Slice(prompt.Ids.Length - 1, answer.Length);
        TensorView logits = arena.Take(new Shape(answer.Length, reference.Model.Layout.VocabularySize));
        reference.Model.Logits(hidden, logits);
        float[][] rows = [.. logits.ToFloats().Chunk(logits.Shape[1])];
        return rows.Zip(answer, (row, id) => row.Max() - row[id]).Max();
    }
}
