namespace GemmaCore.Tensors;

/// <summary>Views handed to an operation do not fit together. The message names the operation, what was expected and what came.</summary>
public sealed class ShapeException : Exception
{
    /// <summary>Creates the exception with its one-line message.</summary>
    public ShapeException(string message) : base(message) { }
}
