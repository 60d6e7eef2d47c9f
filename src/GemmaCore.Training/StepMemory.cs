namespace GemmaCore.Training;

/// <summary>Memory of the largest step: what a trainer takes besides weights, adapter and optimiser.</summary>
/// <param name="ArenaBytes">Activations, image features, logits of a chunk, and what operations save.</param>
/// <param name="GradientBuffers">Bytes of every buffer for gradients of activations.</param>
/// <param name="TemporaryBytes">Temporaries of operations on a card: packed operands, dequantised matrices.</param>
public sealed record StepMemory(long ArenaBytes, IReadOnlyList<long> GradientBuffers, long TemporaryBytes);
