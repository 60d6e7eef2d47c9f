using GemmaCore.Ops;

namespace GemmaCore.Models.Vision;

/// <summary>Loads the layer that SigLIP and CLIP share; both use the same tensor names.</summary>
internal static class VisionBlocks
{
    public static VisionBlock Load(Weights weights, string path, int d, int f, int heads, Activation activation, float eps) => new()
    {
        LayerNorm1 = weights.LayerNorm($"{path}.layer_norm1", d),
        QProj = weights.Linear($"{path}.self_attn.q_proj", d, d, bias: true),
        KProj = weights.Linear($"{path}.self_attn.k_proj", d, d, bias: true),
        VProj = weights.Linear($"{path}.self_attn.v_proj", d, d, bias: true),
        OutProj = weights.Linear($"{path}.self_attn.out_proj", d, d, bias: true),
        LayerNorm2 = weights.LayerNorm($"{path}.layer_norm2", d),
        Fc1 = weights.Linear($"{path}.mlp.fc1", d, f, bias: true),
        Fc2 = weights.Linear($"{path}.mlp.fc2", f, d, bias: true),
        Activation = activation,
        HeadCount = heads,
        NormEps = eps,
    };
}
