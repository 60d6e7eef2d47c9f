namespace GemmaCore.Training;

/// <summary>How the losses of accumulated micro-batches become one (gemma3.md §9.9).</summary>
public enum LossReduction
{
    /// <summary>Every micro-batch counts the same: the mean of their means, as the Hugging Face trainer intends for Gemma 3.</summary>
    MeanOfMeans,

    /// <summary>Every supervised token counts the same.</summary>
    TokenWeighted,
}
