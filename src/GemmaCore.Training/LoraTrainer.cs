using GemmaCore.Cuda;
using GemmaCore.Models;
using GemmaCore.Models.Lora;
using GemmaCore.Ops;
using GemmaCore.Tensors;

namespace GemmaCore.Training;

/// <summary>What one optimiser step did.</summary>
/// <param name="Loss">Mean loss under the reduction, nats per token.</param>
/// <param name="GradientNorm">L2 norm of all gradients before clipping.</param>
/// <param name="TokenCount">Tokens that went through the model.</param>
/// <param name="TargetCount">Tokens that counted in the loss.</param>
/// <param name="MicroBatchLosses">Mean loss of each micro-batch.</param>
public sealed record StepResult(double Loss, double GradientNorm, int TokenCount, int TargetCount, IReadOnlyList<double> MicroBatchLosses);

/// <summary>
/// Trains an attached adapter: forward, loss, backward per micro-batch, then clip and update. It knows nothing of files, epochs or schedules
/// (see <see cref="TrainingRun"/>); use it directly to train inside an application.
/// </summary>
public sealed class LoraTrainer : IDisposable
{
    private readonly LanguageModel _model;
    private readonly LoraAdapter _adapter;
    private readonly Arena _arena;
    private readonly GradientPool _gradients;
    private readonly ImageFeatureCache? _features;
    private readonly TokenBatch _batch = new();
    private readonly ulong _seed;
    private int _samplesAtOnce = int.MaxValue;
    private bool _unfinished;

    /// <summary>A trainer for an adapter made by <see cref="LoraAdapter.Create"/> or <see cref="LoraAdapter.LoadTrainable"/>.</summary>
    /// <param name="model">The model the adapter is attached to.</param>
    /// <param name="adapter">The adapter.</param>
    /// <param name="optimizer">Its optimiser.</param>
    /// <param name="seed">Seed of dropout.</param>
    /// <param name="featureCacheBytes">Memory for cached image features when the vision tower is frozen; 0 for none.</param>
    public LoraTrainer(LanguageModel model, LoraAdapter adapter, AdamW optimizer, ulong seed, long featureCacheBytes = 1L << 30)
        : this(model, adapter, optimizer, seed, featureCacheBytes > 0 && !adapter.AdaptsVision ? new ImageFeatureCache(model, featureCacheBytes) : null)
    {
    }

    /// <summary>As the other one, with features of pictures that are known already.</summary>
    /// <param name="model">The model the adapter is attached to.</param>
    /// <param name="adapter">The adapter.</param>
    /// <param name="optimizer">Its optimiser.</param>
    /// <param name="seed">Seed of dropout.</param>
    /// <param name="features">Owned from now on; null to encode pictures every time, which an adapter on the vision tower needs.</param>
    public LoraTrainer(LanguageModel model, LoraAdapter adapter, AdamW optimizer, ulong seed, ImageFeatureCache? features)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(adapter);
        if (adapter.Parameters.Count == 0) throw new ArgumentException("the adapter was loaded for inference; it has nothing to train", nameof(adapter));
        _model = model;
        _adapter = adapter;
        Optimizer = optimizer;
        _seed = seed;
        _arena = new Arena(model.Device);
        _gradients = new GradientPool(model.Device);
        if (features is not null && adapter.AdaptsVision)
            throw new ArgumentException("the adapter changes what the vision tower says of a picture; its features cannot be kept", nameof(features));
        _features = features;
    }

    /// <summary>The optimiser.</summary>
    public AdamW Optimizer { get; }

    /// <summary>Recompute blocks in the backward pass: less memory, a third more time.</summary>
    public bool GradientCheckpointing { get; init; }

    /// <summary>Gradients are scaled down to this L2 norm; 0 for no clipping.</summary>
    public float MaxGradientNorm { get; init; } = 1;

    /// <summary>How micro-batches are weighted.</summary>
    public LossReduction Reduction { get; init; } = LossReduction.MeanOfMeans;

    /// <summary>Rows whose logits exist together; 0 for what suits the device.</summary>
    public int LossChunkRows { get; init; }

    /// <summary>
    /// Samples of a micro-batch that go through the model together; a larger micro-batch is done in parts, with the same result up to rounding. Becomes smaller
    /// when memory runs out.
    /// </summary>
    public int SamplesAtOnce
    {
        get => _samplesAtOnce;
        init => _samplesAtOnce = value > 0 ? value : int.MaxValue;
    }

    /// <summary>Called with the new number of samples when memory ran out and micro-batches are cut into smaller parts from then on.</summary>
    public Action<int>? OnSmallerParts { get; init; }

    /// <summary>What the largest step so far needed besides weights, adapter and optimiser.</summary>
    public StepMemory StepMemory => new(_arena.PeakBytes, _gradients.FreeSizes, _model.Device.PeakTemporaryBytes);

    /// <summary>Takes the memory of a step in advance, so that no step up to that size allocates.</summary>
    /// <exception cref="OutOfMemoryException">It is not there; a card says so with an exception of its own.</exception>
    public void Reserve(StepMemory memory)
    {
        ArgumentNullException.ThrowIfNull(memory);
        _arena.Reserve(memory.ArenaBytes);
        _gradients.Reserve(memory.GradientBuffers);
        _model.Device.ReserveTemporaries(memory.TemporaryBytes);
    }

    /// <summary>One optimiser step over its micro-batches.</summary>
    /// <remarks>
    /// When memory runs out, micro-batches are cut into parts of half as many samples and the step is done again, with the same result up to rounding.
    /// </remarks>
    /// <exception cref="InvalidOperationException">No token of the step counts in the loss, or the loss is not a number.</exception>
    public StepResult Step(IReadOnlyList<IReadOnlyList<EncodedExample>> microBatches, float learningRate)
    {
        (StepResult result, double scale) = Accumulate(microBatches);
        Optimizer.Step(learningRate, (float)scale);
        return result;
    }

    /// <summary>A step none of whose rows could be used: nothing is learnt. It counts as one all the same, for a resumed run knows the optimiser's count by that of its steps.</summary>
    public StepResult SkipStep()
    {
        Optimizer.StepCount++;
        return new StepResult(0, 0, 0, 0, []);
    }

    /// <summary>The first half of <see cref="Step"/>: gradients are in the parameters afterwards, not yet clipped.</summary>
    /// <returns>What happened, and the factor that clipping asks for.</returns>
    public (StepResult Result, double ClipScale) Accumulate(IReadOnlyList<IReadOnlyList<EncodedExample>> microBatches)
    {
        ArgumentNullException.ThrowIfNull(microBatches);
        int[] targets = [.. microBatches.Select(batch => batch.Sum(example => example.TargetCount))];
        int total = targets.Sum(), counted = targets.Count(count => count > 0);
        if (total == 0) throw new InvalidOperationException("no token of this step counts in the loss; every answer is empty or cut off by max_length");
        return InParts(microBatches.Max(batch => batch.Count), () => Accumulate(microBatches, targets, total, counted));
    }

    private (StepResult Result, double ClipScale) Accumulate(IReadOnlyList<IReadOnlyList<EncodedExample>> microBatches, int[] targets, int total, int counted)
    {
        if (_unfinished) ForgetGradients();
        _unfinished = true;
        var means = new List<double>();
        double loss = 0;
        int tokens = 0;
        for (int i = 0; i < microBatches.Count; i++)
        {
            // A micro-batch without targets has no mean; Hugging Face divides 0 by 0 there, we leave it out.
            if (targets[i] == 0) continue;
            double weight = Reduction == LossReduction.TokenWeighted ? 1.0 / total : 1.0 / (targets[i] * (double)counted);
            double sum = MicroBatch(microBatches[i], weight, (ulong)i, train: true);
            means.Add(sum / targets[i]);
            loss += sum * weight;
            tokens += microBatches[i].Sum(example => example.Ids.Length);
        }

        double norm = Math.Sqrt(SumOfSquares.Of([.. _adapter.Parameters.Select(parameter => parameter.Gradient)]));
        if (!double.IsFinite(loss) || !double.IsFinite(norm))
            throw new InvalidOperationException($"loss {loss}, gradient norm {norm}: training has diverged; lower learning_rate or max_grad_norm");
        _unfinished = false;
        double clip = MaxGradientNorm > 0 ? Math.Min(1, MaxGradientNorm / (norm + 1e-6)) : 1;
        return (new StepResult(loss, norm, tokens, total, means), clip);
    }

    /// <summary>Mean loss per target token, without training.</summary>
    public double Evaluate(IEnumerable<IReadOnlyList<EncodedExample>> batches)
    {
        double sum = 0;
        long count = 0;
        foreach (IReadOnlyList<EncodedExample> batch in batches)
        {
            sum += InParts(batch.Count, () => MicroBatch(batch, 0, 0, train: false));
            count += batch.Sum(example => example.TargetCount);
        }

        return count == 0 ? double.NaN : sum / count;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _features?.Dispose();
        _gradients.Dispose();
        _arena.Dispose();
        Optimizer.Dispose();
    }

    // A step that failed half-way (no memory left, a number that is none) has left a part of its sums; a smaller one may be tried after it.
    private void ForgetGradients()
    {
        _gradients.ReturnAll();
        foreach (LoraParameter parameter in _adapter.Parameters) parameter.Gradient.Device.Clear(parameter.Gradient);
    }

    // Does the work again in smaller parts as long as memory runs out and a part holds more than one sample.
    private T InParts<T>(int samples, Func<T> work)
    {
        while (true)
        {
            int largest = Math.Min(samples, _samplesAtOnce);
            try
            {
                return work();
            }
            catch (Exception error) when (largest > 1 && IsOutOfMemory(error))
            {
                _samplesAtOnce = largest / 2;
            }

            // What was allocated for the large parts would be in the way of the small ones.
            _gradients.Release();
            _arena.Release();
            _model.Device.ReserveTemporaries(0);
            OnSmallerParts?.Invoke(_samplesAtOnce);
        }
    }

    private static bool IsOutOfMemory(Exception error) => error is OutOfMemoryException or CudaException { IsOutOfMemory: true };

    // Sum of losses over the targets of one micro-batch; with train, gradients of weight · loss are added to the parameters.
    private double MicroBatch(IReadOnlyList<EncodedExample> examples, double weight, ulong index, bool train)
    {
        double sum = 0;
        int rows = 0, images = 0;
        foreach (EncodedExample[] part in examples.Chunk(_samplesAtOnce))
        {
            sum += Part(part, weight, train ? DropoutSeed(index) : null, rows, images * _model.PatchesPerImage);
            rows += part.Sum(example => example.Ids.Length);
            images += part.Sum(example => example.ImageKeys.Count);
        }

        return sum;
    }

    // One packed pass over samples that begin at these rows of their micro-batch, in the decoder and in the vision tower.
    private double Part(IReadOnlyList<EncodedExample> examples, double weight, ulong? seed, int firstRow, int firstPatch)
    {
        _arena.Reset();
        Tape? tape = seed is { } masks ? new Tape(_arena, _gradients, masks) { FirstRow = firstPatch } : null;
        TensorView features = _features is not null ? _features.Take(examples, _arena) : EncodeImages(examples, tape);
        _batch.Clear();
        foreach (EncodedExample example in examples) _batch.Add(example.Ids, _model.ImageTokenId, null);
        if (!features.IsEmpty) _batch.ImageFeatures = features;
        if (tape is not null) tape.FirstRow = firstRow;
        TensorView hidden = _model.Forward(_batch, _arena, tape, GradientCheckpointing);
        (int[] rows, int[] ids) = Targets(examples);
        double loss = rows.Length == 0 ? 0 : LinearCrossEntropy.Forward(hidden, _model.Head, rows, ids, weight, _arena, tape, LossChunkRows);
        tape?.Backward();
        return loss;
    }

    private TensorView EncodeImages(IReadOnlyList<EncodedExample> examples, Tape? tape)
    {
        List<float[]> pixels = [.. examples.SelectMany(example => example.Images).Select(image => image.Values)];
        if (pixels.Count == 0) return default;
        if (tape is null || !_adapter.AdaptsVision) return ImageEncoding.Encode(_model, pixels, _arena);
        return _model.EncodeImages(ImageEncoding.Upload(pixels, 0, pixels.Count, _model.ImageSize, _arena), _arena, tape, GradientCheckpointing);
    }

    // The hidden state of row t predicts token t + 1 of the same sample.
    private static (int[] Rows, int[] Ids) Targets(IReadOnlyList<EncodedExample> examples)
    {
        var rows = new List<int>();
        var ids = new List<int>();
        int first = 0;
        foreach (EncodedExample example in examples)
        {
            for (int t = 1; t < example.Ids.Length; t++)
            {
                if (!example.IsTarget[t]) continue;
                rows.Add(first + t - 1);
                ids.Add(example.Ids[t]);
            }

            first += example.Ids.Length;
        }

        return ([.. rows], [.. ids]);
    }

    // One stream of masks per micro-batch of the whole run, so that a resumed run draws what the unbroken one would have drawn.
    private ulong DropoutSeed(ulong microBatch) => _seed * 0x9E3779B97F4A7C15 + (ulong)Optimizer.StepCount * 4096 + microBatch;
}
