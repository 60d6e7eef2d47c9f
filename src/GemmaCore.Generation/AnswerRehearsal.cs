using GemmaCore.Inputs;
using GemmaCore.Models;
using GemmaCore.Tensors;

namespace GemmaCore.Generation;

/// <summary>The passes of one answer without a tokenizer and without chosen tokens: on a device that only keeps account of memory, what an answer takes.</summary>
public static class AnswerRehearsal
{
    /// <summary>
    /// Reads a prompt in the parts in which a <see cref="BatchScheduler"/> puts it in, a picture first where it is long enough for one, and gives the logits behind it.
    /// </summary>
    /// <param name="model">The model, or what a rehearsal takes for it.</param>
    /// <param name="tokens">Tokens of prompt and answer; the answer has one of them. At least 2.</param>
    public static void Run(LanguageModel model, int tokens)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentOutOfRangeException.ThrowIfLessThan(tokens, 2);
        Device device = model.Device;
        int[] ids = new int[tokens - 1];
        bool shows = model.TokensPerImage > 0 && ids.Length > model.TokensPerImage;
        if (shows) ids.AsSpan(0, model.TokensPerImage).Fill(model.ImageTokenId);
        PromptChunks chunks = PromptChunks.Of(new GenerationRequest(new Prompt(ids, [], []), new SamplingParams()), model.ImageTokenId);
        using KvCache cache = model.CreateCache(tokens);
        using var arena = new Arena(device);
        DeviceBuffer? features = shows ? See(model, arena) : null;
        var batch = new TokenBatch();
        for (int start = 0; start < ids.Length; start = cache.Length)
        {
            arena.Reset();
            batch.Clear();
            batch.Add(ids.AsSpan(start..chunks.EndFrom(start)), model.ImageTokenId, cache);
            if (features is not null)
            {
                TensorView pass = arena.Take(features.View.Shape);
                device.Copy(features.View, pass);
                batch.ImageFeatures = pass;
                features.Dispose();
                features = null;
            }

            TensorView hidden = model.Forward(batch, arena, null);
            if (cache.Length < ids.Length) continue;
            TensorView last = arena.Take(new Shape(1, hidden.Shape[1])), logits = arena.Take(new Shape(1, model.Layout.VocabularySize));
            device.Copy(hidden.Slice(batch.TokenCount - 1, 1), last);
            model.Logits(last, logits);
        }
    }

    // Of their own, because the arena is the next pass's.
    private static DeviceBuffer See(LanguageModel model, Arena arena)
    {
        TensorView seen = ImageEncoding.Encode(model, [new float[3 * model.ImageSize * model.ImageSize]], arena);
        var features = new DeviceBuffer(model.Device, seen.Shape, DType.F32);
        model.Device.Copy(seen, features.View);
        return features;
    }
}
