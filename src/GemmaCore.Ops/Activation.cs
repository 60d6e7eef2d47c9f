namespace GemmaCore.Ops;

/// <summary>The activation functions of the models served; each is x·σ(z(x)) with σ the logistic function.</summary>
public enum Activation
{
    /// <summary>0.5·x·(1 + tanh(√(2/π)·(x + 0.044715·x³))), arXiv:1606.08415; Gemma and SigLIP (<c>gelu_pytorch_tanh</c>).</summary>
    GeluTanh,

    /// <summary>x·σ(x), arXiv:1702.03118; LLaMA (<c>silu</c>).</summary>
    Silu,

    /// <summary>x·σ(1.702·x), arXiv:1606.08415; CLIP (<c>quick_gelu</c>).</summary>
    QuickGelu,
}
