namespace GemmaCore.Inputs.Codecs;

/// <summary>The samples of a picture as its codec stored them.</summary>
/// <param name="Width">Pixels of a row.</param>
/// <param name="Height">Rows.</param>
/// <param name="Components">Samples of a pixel.</param>
/// <param name="Bits">Of a sample, 1 to 16.</param>
/// <param name="Samples">[Height, Width, Components]; negative ones in two's complement of 16 bits.</param>
internal sealed record CodedPicture(int Width, int Height, int Components, int Bits, ushort[] Samples);
