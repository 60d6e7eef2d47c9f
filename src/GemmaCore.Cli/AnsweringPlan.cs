using GemmaCore.Generation;
using GemmaCore.Models;
using GemmaCore.Tensors;

namespace GemmaCore.Cli;

/// <summary>What it takes to answer in one conversation.</summary>
/// <param name="Context">Its tokens.</param>
/// <param name="WeightBytes">Weights on the device.</param>
/// <param name="CacheBytes">Keys and values.</param>
/// <param name="PeakBytes">All of it, with the activations of the parts in which such a prompt goes in and of one picture.</param>
/// <param name="Prompt">What reading a prompt of that length cannot do without, pictures apart.</param>
/// <param name="Token">The same of a token behind such a prompt.</param>
/// <param name="Picture">The same of a picture; nothing where the model sees none.</param>
internal sealed record AnsweringPlan(int Context, long WeightBytes, long CacheBytes, long PeakBytes, PassWork Prompt, PassWork Token, PassWork Picture)
{
    /// <summary>Rehearses the answer.</summary>
    public static AnsweringPlan Of(Func<Device> open, Func<Device, LanguageModel> load, int context, DType kvType)
    {
        using Device device = open();
        using LanguageModel model = load(device);
        model.KvType = kvType;
        long weights = device.AllocatedBytes;
        int tokens = Math.Clamp(context, 2, model.Layout.MaxPositions);
        AnswerRehearsal.Run(model, tokens);
        return new AnsweringPlan(tokens, weights, model.CacheBytes(tokens), device.PeakAllocatedBytes,
            PassWork.OfText(model, tokens, 0, 1), PassWork.OfText(model, 1, tokens - 1, 1), PassWork.OfPicture(model));
    }
}
