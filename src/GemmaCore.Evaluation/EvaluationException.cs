namespace GemmaCore.Evaluation;

/// <summary>Predictions or references that cannot be scored as they are; the message names file, row and remedy.</summary>
public sealed class EvaluationException : Exception
{
    /// <summary>An error of one line.</summary>
    public EvaluationException(string message)
        : base(message)
    {
    }

    /// <summary>An error of one line with its cause.</summary>
    public EvaluationException(string message, Exception inner)
        : base(message, inner)
    {
    }
}
