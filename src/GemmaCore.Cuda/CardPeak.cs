namespace GemmaCore.Cuda;

/// <summary>What a card's data sheet promises at its boost clock, without sparsity; no program gets all of it.</summary>
/// <param name="GigabytesPerSecond">Of its memory.</param>
/// <param name="TensorTeraflops">16-bit products with fp32 sums on tensor cores.</param>
/// <param name="Float32Teraflops">fp32 multiply-adds.</param>
/// <param name="CacheMebibytes">Second-level cache.</param>
public sealed record CardPeak(double GigabytesPerSecond, double TensorTeraflops, double Float32Teraflops, int CacheMebibytes);
