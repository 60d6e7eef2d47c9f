namespace GemmaCore.Checkpoints;

/// <summary>A checkpoint, adapter or model configuration is unusable. The message names file, tensor or key, what was expected and what came.</summary>
public sealed class CheckpointException : Exception
{
    /// <summary>Creates the exception with its one-line message.</summary>
    public CheckpointException(string message) : base(message) { }

    /// <summary>Creates the exception with its one-line message and its cause.</summary>
    public CheckpointException(string message, Exception cause) : base(message, cause) { }
}
