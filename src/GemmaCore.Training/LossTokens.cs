namespace GemmaCore.Training;

/// <summary>Which tokens of a sample count in the loss.</summary>
public enum LossTokens
{
    /// <summary>The answer and its end mark: what a model has to say to answer.</summary>
    AssistantOnly,

    /// <summary>Also the line end that the template puts behind the end mark, as both FLARE baselines do (flare.md §3.3).</summary>
    AssistantTurn,

    /// <summary>All text, the question too. Image tokens never count.</summary>
    AllText,
}
