namespace GemmaCore.Inputs;

/// <summary>
/// Cuts long pictures into crops that are shown to the model after the whole picture (spec: Gemma 3's image processor).
/// </summary>
/// <param name="MinCropSize">No crops when one would be narrower or lower than this many pixels.</param>
/// <param name="MaxCrops">At most this many.</param>
/// <param name="MinRatio">No crops below this ratio of the longer to the shorter side.</param>
public sealed record PanAndScan(int MinCropSize = 256, int MaxCrops = 4, double MinRatio = 1.2)
{
    /// <summary>The crops of a picture of this size, from left to right or from top to bottom; none when it is not long enough.</summary>
    public IReadOnlyList<PictureRegion> Crops(int width, int height)
    {
        bool wide = width >= height;
        int along = wide ? width : height, across = wide ? height : width;
        if ((double)along / across < MinRatio) return [];
        int count = (int)Math.Floor((double)along / across + 0.5);
        count = Math.Min(MaxCrops, Math.Max(2, Math.Min(along / MinCropSize, count)));
        int step = (along + count - 1) / count;
        if (Math.Min(step, across) < MinCropSize) return [];
        List<PictureRegion> crops = [];
        for (int start = 0; start < along; start += step)
        {
            int length = Math.Min(step, along - start);
            crops.Add(wide ? new PictureRegion(start, 0, length, across) : new PictureRegion(0, start, across, length));
        }
        return crops;
    }
}
