using GemmaCore.Inputs;
using GemmaCore.Server.OpenAi;

namespace GemmaCore.Server.RemoteImages;

/// <summary>A picture that is still where its address says. It never reaches the model: <see cref="ImageFetcher"/> puts the picture in its place.</summary>
/// <param name="Address">Of an allowed host.</param>
/// <param name="Field">Where the request holds the address.</param>
/// <param name="Limits">Of the request.</param>
/// <param name="Frame">Which frame of a DICOM file, from 1.</param>
/// <param name="Window">How its grey values become bytes.</param>
internal sealed record RemotePicture(Uri Address, RequestField Field, PictureLimits Limits, int Frame, GreyWindow? Window) : ContentPart;
