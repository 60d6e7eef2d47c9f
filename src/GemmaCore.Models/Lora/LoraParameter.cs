using GemmaCore.Tensors;

namespace GemmaCore.Models.Lora;

/// <summary>One trainable matrix and its gradient.</summary>
/// <param name="Name">Module path plus <c>.lora_A.weight</c> or <c>.lora_B.weight</c>.</param>
/// <param name="Value">f32 values.</param>
/// <param name="Gradient">f32 gradient; operations add to it.</param>
public sealed record LoraParameter(string Name, TensorView Value, TensorView Gradient);
