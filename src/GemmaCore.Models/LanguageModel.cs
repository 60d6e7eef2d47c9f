using System.Diagnostics.CodeAnalysis;
using GemmaCore.Models.Decoder;
using GemmaCore.Models.Lora;
using GemmaCore.Ops;
using GemmaCore.Tensors;

namespace GemmaCore.Models;

/// <summary>
/// A decoder-only language model: packed tokens in, hidden states and logits out. The same <see cref="Forward"/> serves prefill, decode,
/// scoring and training. One pass at a time: an instance is not thread-safe.
/// </summary>
public abstract class LanguageModel : IDisposable
{
    // Canonical names of the two tables that an adapter may replace whole.
    internal const string HeadName = "lm_head.weight", EmbeddingsName = "model.language_model.embed_tokens.weight";

    private readonly DecoderStep _step;
    private WeightMatrix _embeddings;
    private readonly float _embeddingScale;
    private DType _kvType = DType.F32;

    /// <summary>Describes the parts that all families share.</summary>
    private protected LanguageModel(DecoderLayout layout, WeightMatrix embeddings, WeightMatrix head, float embeddingScale)
    {
        Layout = layout;
        _embeddings = embeddings;
        Head = head;
        _embeddingScale = embeddingScale;
        KvLayout = new KvLayout(layout.Windows);
        _step = new DecoderStep(layout.Windows, layout.Frequencies);
    }

    /// <summary>Where the model computes.</summary>
    public abstract Device Device { get; }

    /// <summary>Sizes and layer kinds.</summary>
    public DecoderLayout Layout { get; }

    /// <summary>[V, D]: the output head (the embedding table when tied).</summary>
    public WeightMatrix Head { get; private protected set; }

    /// <summary>[V, D]: the table of embeddings; the same object as <see cref="Head"/> when tied.</summary>
    public WeightMatrix Embeddings => _embeddings;

    /// <summary>The embedding table, and the head where it is another one.</summary>
    public IReadOnlyList<WeightMatrix> Tables => ReferenceEquals(Head, _embeddings) ? [_embeddings] : [_embeddings, Head];

    /// <summary>Id at which image features go; −1 when the model has no vision tower.</summary>
    public virtual int ImageTokenId => -1;

    /// <summary>Features per image; 0 when the model has no vision tower.</summary>
    public virtual int TokensPerImage => 0;

    /// <summary>Side of the square pictures the vision tower takes, in pixels; 0 when there is none.</summary>
    public virtual int ImageSize => 0;

    /// <summary>Patches the vision tower cuts a picture into; 0 when there is none.</summary>
    public virtual int PatchesPerImage => 0;

    /// <summary>Every adaptable linear layer, text first, in forward order.</summary>
    public abstract IReadOnlyList<Linear> Linears { get; }

    /// <summary>Who uses which chosen adapter in the present pass.</summary>
    internal AdapterRows AdapterRows { get; } = new();

    /// <summary>
    /// How keys and values are kept of caches and pools made from now on: f32, or bf16, which takes half the memory and changes answers in their last bits.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">It is neither.</exception>
    public DType KvType
    {
        get => _kvType;
        set => _kvType = value is DType.F32 or DType.BF16 ? value : throw new ArgumentOutOfRangeException(nameof(value), $"keys and values are kept in F32 or BF16, not in {value}");
    }

    /// <summary>How its layers share pages of keys and values.</summary>
    public KvLayout KvLayout { get; }

    /// <summary>An empty cache for one sequence of up to <paramref name="capacity"/> tokens, in memory of its own.</summary>
    public KvCache CreateCache(int capacity)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(capacity, 1);
        KvPool pool = CreatePool(KvLayout.PagesOf(capacity));
        try
        {
            return new KvCache(pool, capacity, ownsPool: true);
        }
        catch
        {
            pool.Dispose();
            throw;
        }
    }

    /// <summary>A pool of <paramref name="pages"/> pages for the caches of several sequences.</summary>
    public KvPool CreatePool(int pages) => new(Device, KvLayout, pages, Layout.KvHeadCount, Layout.HeadDim, KvType);

    /// <summary>Memory of a page of keys and values.</summary>
    public long PageBytes => KvPool.BytesOf(KvLayout, Layout.KvHeadCount, Layout.HeadDim, KvType);

    /// <summary>Bytes of keys and values of a cache for up to <paramref name="capacity"/> tokens.</summary>
    public long CacheBytes(int capacity) => KvLayout.PagesOf(capacity) * PageBytes;

    /// <summary>Hidden states after the last norm.</summary>
    /// <param name="batch">Packed tokens; the caches of its sequences grow by them.</param>
    /// <param name="arena">Memory of this pass; the result lives in it.</param>
    /// <param name="tape">Null in inference.</param>
    /// <param name="recompute">With a tape: save only each block's input and compute the block again in the backward pass.</param>
    /// <returns>[T, D].</returns>
    public TensorView Forward(TokenBatch batch, Arena arena, Tape? tape, bool recompute = false)
    {
        ArgumentNullException.ThrowIfNull(batch);
        ArgumentNullException.ThrowIfNull(arena);
        var shape = new Shape(batch.TokenCount, Layout.HiddenSize);
        TensorView x = arena.Take(shape); // [T, D]: the residual stream
        Embedding.Forward(batch.UploadIds(arena), _embeddings, _embeddingScale, x);
        if (!batch.ImageFeatures.IsEmpty)
        {
            if (batch.ImageFeatures.Shape[0] != batch.ImageRows.Length)
                throw new ShapeException($"LanguageModel.Forward: {batch.ImageFeatures.Shape[0]} image features for {batch.ImageRows.Length} image tokens");
            ScatterRows.Forward(batch.ImageFeatures, batch.UploadImageRows(arena), x, tape);
        }

        _step.Begin(batch, arena);
        AdapterRows.Set(batch);
        TensorView last = ForwardBlocks(x, _step, tape, recompute);
        _step.Finish();
        return last;
    }

    /// <summary>Logits of chosen rows.</summary>
    /// <param name="hidden">[R, D] rows of what <see cref="Forward"/> returned.</param>
    /// <param name="logits">[R, V].</param>
    public void Logits(TensorView hidden, TensorView logits) => Head.Multiply(hidden, default, logits, null);

    /// <summary>Image features, ready to take the places of image tokens.</summary>
    /// <param name="pixels">[images, 3, size, size] f32, normalised.</param>
    /// <param name="arena">Memory of this pass; the result lives in it.</param>
    /// <param name="tape">Null in inference and when the tower is frozen.</param>
    /// <param name="recompute">As in <see cref="Forward"/>.</param>
    /// <returns>[images · tokens per image, D].</returns>
    public virtual TensorView EncodeImages(TensorView pixels, Arena arena, Tape? tape, bool recompute = false) =>
        throw new NotSupportedException($"{GetType().Name} has no vision tower: it cannot take images");

    /// <summary>
    /// Gives back the memory of the vision tower and its projector: when every picture has been encoded, they are not needed any more. Its layers leave
    /// <see cref="Linears"/>, and pictures cannot be encoded from then on.
    /// </summary>
    /// <exception cref="InvalidOperationException">An adapter is on one of the tower's layers.</exception>
    public virtual void ReleaseVision()
    {
    }

    /// <summary>
    /// Replaces the embedding table or the head by a trained copy (an adapter's modules_to_save). The two are independent from then on, even if
    /// the base ties them.
    /// </summary>
    /// <param name="name">Canonical name of the tensor.</param>
    /// <param name="weight">Its replacement; must outlive the model or the next replacement.</param>
    /// <param name="original">What was there before, to be put back.</param>
    /// <returns>False when the model has no tensor of that canonical name and shape.</returns>
    internal bool TryReplace(string name, WeightMatrix weight, [NotNullWhen(true)] out WeightMatrix? original)
    {
        original = null;
        if (weight.Shape != Head.Shape || weight is DenseMatrix { View: var view } && !view.DType.IsFloat()) return false;
        switch (name)
        {
            case HeadName: (original, Head) = (Head, weight); return true;
            case EmbeddingsName: (original, _embeddings) = (_embeddings, weight); return true;
            default: return false;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Runs all blocks and the final norm on the residual stream.</summary>
    private protected abstract TensorView ForwardBlocks(TensorView x, DecoderStep step, Tape? tape, bool recompute);

    /// <summary>Frees weights that the model owns.</summary>
    protected abstract void Dispose(bool disposing);
}
