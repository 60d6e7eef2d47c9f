using GemmaCore.Models;
using GemmaCore.Models.Lora;
using GemmaCore.Training.Configuration;

namespace GemmaCore.Training.Planning;

/// <summary>
/// What a training step cannot do without, counted as <see cref="PassWork"/> is: forward, the gradients that the adapters need (of frozen weights only dX), and where
/// gradient checkpointing asks for it the forward pass once more. The optimiser is left out.
/// </summary>
internal static class StepWork
{
    // S = q·kᵀ again (no score matrix is kept), dV, dP, dQ, dK, beside two products forward (arXiv:2307.08691).
    private const double AttentionForward = 2, AttentionBackward = 5;

    /// <summary>All micro-batches of a step.</summary>
    /// <param name="model">The model or its rehearsal, with the adapter on it.</param>
    /// <param name="configuration">The settings.</param>
    /// <param name="sample">Every sample.</param>
    /// <param name="encodesPictures">Pictures go through the tower in every step.</param>
    public static PassWork Of(LanguageModel model, TrainingConfiguration configuration, SampleShape sample, bool encodesPictures)
    {
        int samples = configuration.PerDeviceTrainBatchSize, atOnce = configuration.SamplesAtOnce > 0 ? Math.Min(samples, configuration.SamplesAtOnce) : samples;
        double parts = Math.Ceiling((double)samples / atOnce);
        int recomputed = configuration.GradientCheckpointing ? 1 : 0;
        Linear[] vision = encodesPictures && sample.Images > 0 ? [.. model.Linears.Where(LoraAdapter.IsVision)] : [], text = [.. model.Linears.Where(PassWork.IsText)];
        double patches = model.PatchesPerImage;
        Count pictures = Blocks(vision, (double)samples * sample.Images * patches, _ => (double)samples * sample.Images * patches * patches, parts, recomputed, isReached: false);
        IReadOnlyList<int> windows = model.Layout.Windows;
        Count tokens = Blocks(text, (double)samples * sample.Tokens, layer => samples * PassWork.VisiblePairs(sample.Tokens, 0, windows[layer]), parts, recomputed, pictures.IsReached);
        // Logits, and their gradient multiplied back.
        double head = model.Head.Shape.ElementCount, headBytes = model.Head.ByteCount;
        double operations = pictures.Operations + tokens.Operations + (4 * head * samples * sample.Targets), read = pictures.Bytes + tokens.Bytes + (2 * headBytes * parts);
        int steps = configuration.GradientAccumulationSteps;
        double held = vision.Concat(text).Sum(layer => (double)layer.Weight.ByteCount) + headBytes;
        return new PassWork(steps * operations, steps * read, held);
    }

    private readonly record struct Count(double Operations, double Bytes, bool IsReached);

    // In forward order. A layer's dX is needed once an adapter lies on the way to its input; from the first adapter on, blocks are computed again.
    private static Count Blocks(Linear[] layers, double rows, Func<int, double> pairs, double parts, int recomputed, bool isReached)
    {
        double operations = 0, bytes = 0;
        bool isAdapted = isReached;
        int block = 0;
        foreach (Linear layer in layers)
        {
            if (!SharesInput(layer)) isReached = isAdapted;
            if (PassWork.EndsAttention(layer))
            {
                double products = AttentionForward + (isAdapted ? AttentionBackward + (recomputed * AttentionForward) : 0);
                operations += 2 * products * layer.InputSize * pairs(block++);
            }

            double low = PassWork.AdapterElements(layer), weight = layer.Weight.Shape.ElementCount;
            isAdapted |= low > 0;
            int forward = 1 + (isAdapted ? recomputed : 0), back = isReached ? 1 : 0;
            // Of an adapter: dA and dB, and dX where it is needed, each as much as the forward pass.
            operations += 2 * rows * ((weight * (forward + back)) + (low * (forward + 1 + back)));
            bytes += parts * layer.Weight.ByteCount * (forward + back);
        }

        return new Count(operations, bytes, isAdapted);
    }

    // Queries, keys and values are projected from the same rows, gate and up too.
    private static bool SharesInput(Linear layer) => layer.Path.Split('.')[^1] is "k_proj" or "v_proj" or "up_proj";
}
