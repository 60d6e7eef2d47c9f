using GemmaCore.Testing.Medical;

namespace GemmaCore.Proof;

/// <summary>Writes the pictures of tests/goldens/codecs, or the one that is timed, as DICOM files and as bare samples, for other people's encoders.</summary>
internal static class CodecPictures
{
    public static int Write(string folder, IEnumerable<CodecPicture> pictures)
    {
        foreach (CodecPicture picture in pictures)
        {
            File.WriteAllBytes(Path.Combine(folder, picture.Name + ".dcm"), picture.Dicom().File());
            File.WriteAllBytes(Path.Combine(folder, picture.Name + ".raw"), picture.Bytes());
            Console.WriteLine($"{picture.Name} {picture.Width},{picture.Height},{picture.Components},{picture.Bits},{(picture.IsSigned ? 's' : 'u')}");
        }

        return 0;
    }
}
