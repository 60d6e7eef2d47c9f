using GemmaCore.Ops;

namespace GemmaCore.Models;

/// <summary>The names Hugging Face configurations give to activation functions.</summary>
internal static class Activations
{
    public static Activation Read(ConfigJson config, string key, string fallback) => config.Text(key, fallback) switch
    {
        "gelu_pytorch_tanh" => Activation.GeluTanh,
        "silu" or "swish" => Activation.Silu,
        "quick_gelu" => Activation.QuickGelu,
        string other => throw config.Refuse(key, $"'{other}' is not supported; expected gelu_pytorch_tanh, silu or quick_gelu"),
    };
}
