namespace GemmaCore.Inputs;

/// <summary>A rectangle of a picture, in the picture's own pixels.</summary>
/// <param name="Left">Columns to its left.</param>
/// <param name="Top">Rows above it.</param>
/// <param name="Width">Columns.</param>
/// <param name="Height">Rows.</param>
public readonly record struct PictureRegion(int Left, int Top, int Width, int Height);
