namespace GemmaCore.Inputs.Dicom;

/// <summary>
/// What a file says of each of its frames: at its top, or, in the enhanced kinds, in the frame's own group or in the one that all frames share (PS3.3, C.7.6.16).
/// </summary>
/// <param name="file">The file.</param>
internal sealed class FrameAttributes(DicomFile file)
{
    private readonly List<DicomDataset> _shared = file.Data.Items(DicomTag.SharedGroups), _perFrame = file.Data.Items(DicomTag.PerFrameGroups);

    /// <summary>The windows of a frame, as far as they make sense, the most important one first.</summary>
    /// <param name="frame">From 0, as everywhere here.</param>
    /// <exception cref="InputException">Their numbers are none, or the first makes no sense.</exception>
    public IReadOnlyList<OwnWindow> Windows(int frame)
    {
        if (Place(frame, DicomTag.FrameWindows, DicomTag.WindowWidth) is not { } place) return [];
        double[] centres = place.Numbers(DicomTag.WindowCentre), widths = place.Numbers(DicomTag.WindowWidth);
        string[] labels = place.Texts(DicomTag.WindowExplanation);
        bool isSigmoid = place.Text(DicomTag.WindowFunction) == "SIGMOID";
        if (centres.Length > 0 && widths is [< 1, ..]) throw DicomImage.Wrong(file, "its window is narrower than 1");
        return [.. centres.Zip(widths).TakeWhile(window => window.Second >= 1).Select((window, index) => new OwnWindow(new WindowRange(window.First, window.Second, isSigmoid), labels.ElementAtOrDefault(index) ?? ""))];
    }

    /// <summary>The item that holds a frame's first table from values to grey (VOI LUT sequence); null for none.</summary>
    /// <param name="frame">From 0.</param>
    /// <exception cref="InputException">The sequence is damaged.</exception>
    public DicomDataset? WindowTable(int frame) => Place(frame, DicomTag.FrameWindows, DicomTag.WindowTables)?.Items(DicomTag.WindowTables).FirstOrDefault();

    /// <summary>Slope and intercept that make stored numbers mean something; null for none.</summary>
    /// <param name="frame">From 0.</param>
    /// <param name="needsBoth">One without the other is an error, as in Google's code for CT; elsewhere it counts as none.</param>
    /// <exception cref="InputException">Their numbers are none, or one is missing.</exception>
    public (double Slope, double Intercept)? Rescale(int frame, bool needsBoth)
    {
        DicomDataset? place = Place(frame, DicomTag.FrameRescales, DicomTag.RescaleSlope) ?? Place(frame, DicomTag.FrameRescales, DicomTag.RescaleIntercept);
        double? slope = place?.Number(DicomTag.RescaleSlope), intercept = place?.Number(DicomTag.RescaleIntercept);
        if (slope is { } factor && intercept is { } offset) return (factor, offset);
        return needsBoth && (slope ?? intercept) is not null
            ? throw DicomImage.Wrong(file, "of Rescale Slope and Rescale Intercept one is missing, so its values are not Hounsfield units")
            : null;
    }

    /// <summary>Where the middle of the first pixel lies, in mm: right to left, front to back, feet to head; null where the file does not say.</summary>
    public double[]? Position(int frame) => Three(frame, DicomTag.PlanePositions, DicomTag.Position, 3);

    /// <summary>The directions of a row and of a column; null where the file does not say.</summary>
    public double[]? Orientation(int frame) => Three(frame, DicomTag.PlaneOrientations, DicomTag.Orientation, 6);

    private double[]? Three(int frame, uint sequence, uint tag, int count) => Place(frame, sequence, tag)?.Numbers(tag) is { } numbers && numbers.Length == count ? numbers : null;

    private DicomDataset? Place(int frame, uint sequence, uint tag)
    {
        if (file.Data.Has(tag)) return file.Data;
        DicomDataset? own = frame < _perFrame.Count ? _perFrame[frame].Items(sequence).FirstOrDefault() : null;
        if (own?.Has(tag) == true) return own;
        DicomDataset? common = _shared.FirstOrDefault()?.Items(sequence).FirstOrDefault();
        return common?.Has(tag) == true ? common : null;
    }
}
