namespace GemmaCore.Training.Datasets;

/// <summary>A data set cannot be used. The message names file and row.</summary>
public sealed class DatasetException : Exception
{
    /// <summary>Creates the exception with its one-line message.</summary>
    public DatasetException(string message) : base(message) { }
}
